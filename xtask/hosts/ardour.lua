-- The VST3 in Ardour's engine, without a window or a sound card: sound through a track, meters while
-- it plays, the lanes of automation mode, and a session that is closed and loaded again.
--
-- Arguments: folder for the session, voice (mono float WAV), its length in samples.

local folder, voice, frames = arg[1], arg[2], tonumber(arg[3])
local seconds = math.ceil(frames / 48000)
local session, track, processor

local function result(key, value)
  if type(value) == "boolean" then value = value and "yes" or "NO" end
  print("RESULT " .. key .. ": " .. value)
end

local function engine()
  AudioEngine:set_backend("None (Dummy)", "", "")
end

local function find()
  for route in session:get_routes():iter() do
    if route:name() == "Voice" then track = route:to_track() end
  end
  processor = track:nth_plugin(0)
end

-- Saves and closes the session, has `change` do something to its files, and loads it again.
local function reload(change)
  session:save_state("")
  session, track, processor = nil, nil, nil
  collectgarbage()
  close_session()
  if change then change() end
  engine()
  session = assert(load_session(folder, "session"), "the session does not load again")
  find()
end

local function plugin() return processor:to_insert():plugin(0) end

local function index(label)
  for i = 0, plugin():parameter_count() - 1 do
    if plugin():parameter_label(i) == label then return i end
  end
end

local function value(label)
  local v = ARDOUR.LuaAPI.get_processor_param(processor, index(label))
  return v
end

local function set(label, v) return ARDOUR.LuaAPI.set_processor_param(processor, index(label), v) end

-- Base64, by the book: the plugin's state is a chunk in the session's file.
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function decode(text)
  local out, bits, held = {}, 0, 0
  for c in text:gmatch("[%w+/]") do
    bits, held = (bits << 6 | ALPHABET:find(c, 1, true) - 1) & 0xffffff, held + 6
    if held >= 8 then
      held = held - 8
      out[#out + 1] = string.char(bits >> held & 255)
    end
  end
  return table.concat(out)
end

local function encode(data)
  local out = data:gsub("..?.?", function(three)
    local a, b, c = three:byte(1, 3)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    local four = ""
    for shift = 18, 0, -6 do
      local i = (bits >> shift & 63) + 1
      four = four .. ALPHABET:sub(i, i)
    end
    return four:sub(1, #three + 1) .. ("="):rep(3 - #three)
  end)
  return out
end

-- Ardour shows no parameter that is neither automatable nor read-only. Then a mode is chosen in the
-- editor; here, in the saved state. Its length must not change, so the version in it pays.
local function set_mode_in_session(mode)
  local path = folder .. "/session.ardour"
  local file = assert(io.open(path))
  local xml = file:read("a")
  file:close()
  local done = false
  xml = xml:gsub("(<chunk>)(.-)(</chunk>)", function(open, chunk, close)
    local old = decode(chunk)
    local state, hits = old:gsub('"output":{"string":"%a+"}', '"output":{"string":"' .. mode .. '"}')
    state = state:gsub('("version":")([^"]*)', function(head, version)
      return head .. ("1"):rep(math.max(0, #version + #old - #state))
    end, 1)
    done = done or (hits == 1 and #state == #old)
    return open .. encode(state) .. close
  end)
  file = assert(io.open(path, "w"))
  file:write(xml)
  file:close()
  return done
end

local function choose(mode, number)
  if index("Output Mode") then return set("Output Mode", number) end
  local done
  reload(function() done = set_mode_in_session(mode) end)
  return done
end

local function lane()
  local _, list = ARDOUR.LuaAPI.plugin_automation(processor, index("Score Lane"))
  return list
end

-- Plays the voice with the lanes in touch mode; returns the meter over time and the points that the
-- lane has got.
local function play()
  for _, label in ipairs { "Score Lane", "Alert Lane" } do
    local parameter = Evoral.Parameter(ARDOUR.AutomationType.PluginAutomation, 0, index(label))
    local control = processor:to_automatable():automation_control(parameter, true)
    control:set_automation_state(ARDOUR.AutoState.Touch)
  end
  lane():clear_list()
  local ui = ARDOUR.TransportRequestSource.TRS_UI
  session:request_locate(0, false, ARDOUR.LocateTransportDisposition.MustStop, ui)
  -- Long enough for the meters to forget what played before.
  sleep(4)
  session:request_roll(ui)
  local seen = {}
  for _ = 1, seconds do
    sleep(1)
    print("at", session:transport_sample(), value("Score"), value("Alert"), value("State"))
    seen[#seen + 1] = string.format("%.0f", 100 * value("Score"))
  end
  session:request_stop(false, false, ui)
  sleep(1)
  local points = 0
  for event in lane():events():iter() do
    print("lane", event.when:samples(), event.value)
    points = points + 1
  end
  return table.concat(seen, " "), string.format("lane %d points", points)
end

engine()
session = assert(create_session(folder, "session", 48000), "no session can be made")
session:new_audio_track(2, 2, nil, 1, "Voice", ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
find()
-- A headless Ardour imports nothing. Silence that is bounced to a region can be: its files are then
-- replaced by the voice.
local region = track:bounce_range(0, frames, ARDOUR.InterThreadInfo(), track:main_outs(), false, "voice")
region:to_audioregion():set_fade_in_active(false)
region:to_audioregion():set_fade_out_active(false)
track:playlist():add_region(region, Temporal.timepos_t(0), 1, false, 0, 0, false)
region = nil
reload(function()
  for _, side in ipairs { "L", "R" } do
    local from = assert(io.open(voice, "rb"))
    local files = folder .. "/interchange/" .. folder:match("[^/]*$") .. "/audiofiles/"
    local to = assert(io.open(files .. "voice%" .. side .. ".wav", "wb"))
    to:write(from:read("a"))
    from:close()
    to:close()
  end
end)

for found in ARDOUR.LuaAPI.list_plugins():iter() do
  if found.type == ARDOUR.PluginType.VST3 and found.name == "Bonafide" then
    processor = ARDOUR.LuaAPI.new_plugin(session, found.unique_id, found.type, "")
  end
end
result("loads", processor ~= nil and not processor:isnil())
track:add_processor_by_index(processor, 0, nil, true)
for i = 0, plugin():parameter_count() - 1 do
  local kind = plugin():parameter_is_output(i) and "output" or "input"
  print("parameter", i, plugin():parameter_label(i), kind)
end

-- The plugin's own output, before fader and panner: compared with the voice by xtask.
track:bounce_range(0, frames, ARDOUR.InterThreadInfo(), processor, true, "bounced")

set("Threshold", 0.75)
reload()
result("state", math.abs(value("Threshold") - 0.75) < 1e-6)
set("Threshold", 0.5)

for number, mode in ipairs { "off", "meter", "automation", "midi" } do
  local title = ({ "Off", "Meter", "Automation", "MIDI" })[number]
  if choose(mode, number - 1) then
    local seen, points = play()
    result(title, string.format("Score %.1f %%, %s", 100 * value("Score"), points))
    if mode == "meter" then result("score", seen .. " %") end
  else
    result(title, "could not be chosen")
  end
end
if not index("Output Mode") then result("notes", "Output Mode: in the editor alone") end
close_session()
quit()
