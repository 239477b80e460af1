"""The VST3 in DawDreamer: sound, meters in each output mode, state."""

import sys

import dawdreamer

from common import MODES, result, same, voice

vst3, wav, folder = sys.argv[1:]
sound, rate = voice(wav)


def processor(name):
    engine = dawdreamer.RenderEngine(rate, 512)
    return engine, engine.make_plugin_processor(name, vst3)


def by_name(plugin):
    return {entry["name"]: entry for entry in plugin.get_parameters_description()}


engine, plugin = processor("first")
result("loads", len(by_name(plugin)) > 0)
print("parameters:", ", ".join(f"{name} = {entry['text']}" for name, entry in by_name(plugin).items()))

exact = True
for number, mode in enumerate(MODES):
    engine, plugin = processor(mode)
    plugin.set_parameter(by_name(plugin)["Output Mode"]["index"], number / (len(MODES) - 1))
    engine.load_graph([(engine.make_playback_processor("voice", sound), []), (plugin, ["voice"])])
    engine.render(sound.shape[1] / rate)
    exact &= same(sound, engine.get_audio())
    shown = by_name(plugin)
    # The text is the plugin's word for the value now; the number is DawDreamer's last own one.
    number = plugin.get_parameter(shown["Score"]["index"])
    result(mode, f"Score {shown['Score']['text']}, lane {shown['Score Lane']['text']}")
    if mode == "Meter":
        result("score", f"{shown['Score']['text']} as text, {number:.3f} as number")
result("exact", exact)

threshold = by_name(plugin)["Threshold"]["index"]
plugin.set_parameter(threshold, 0.75)
set_to = plugin.get_parameter_text(threshold)
plugin.save_state(f"{folder}/dawdreamer.state")
engine, other = processor("second")
before = other.get_parameter_text(threshold)
other.load_state(f"{folder}/dawdreamer.state")
result("state", before != set_to and other.get_parameter_text(threshold) == set_to)
