"""The VST3 in pedalboard: sound, meters in each output mode, state."""

import sys
import time

import pedalboard

from common import MODES, result, same, voice

vst3, wav, folder = sys.argv[1:]
sound, rate = voice(wav)
plugin = pedalboard.load_plugin(vst3)
result("loads", len(plugin.parameters) > 0)
print("parameters:", ", ".join(f"{name} = {value}" for name, value in plugin.parameters.items()))

exact = same(sound, plugin(sound, rate))
for mode in MODES:
    plugin = pedalboard.load_plugin(vst3)
    plugin.output_mode = mode
    # In blocks at half the pace of a live host's, so that each window is judged in time.
    step = rate // 10
    for begin in range(0, sound.shape[1], step):
        block = sound[:, begin : begin + step]
        exact &= same(block, plugin(block, rate, buffer_size=512, reset=False))
        time.sleep(0.05)
    score, lane = (plugin.parameters[name].string_value for name in ("score", "score_lane"))
    result(mode, f"Score {score}, lane {lane}")
    if mode == "Meter":
        result("score", f"NO: stays {score}" if score.startswith("50.0") else score)
result("exact", exact)

plugin.threshold = 75
other = pedalboard.load_plugin(vst3)
before = other.threshold
other.raw_state = plugin.raw_state
result("state", before != plugin.threshold and other.threshold == plugin.threshold)
