"""Opens the editor in DawDreamer after a voice has passed, until somebody ends this process."""

import sys

import dawdreamer

from common import voice

vst3, wav = sys.argv[1:]
sound, rate = voice(wav)
engine = dawdreamer.RenderEngine(rate, 512)
plugin = engine.make_plugin_processor("plugin", vst3)
engine.load_graph([(engine.make_playback_processor("voice", sound), []), (plugin, ["voice"])])
engine.render(sound.shape[1] / rate)
plugin.open_editor()
