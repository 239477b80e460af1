//! Keys that work without a focused control.

use egui::{Context, Event, Key};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a new measurement.
    Reset,
    /// Pause or resume.
    Pause,
    /// Show the span of this index.
    Span(usize),
    /// Close the settings.
    Close,
}

/// The commands of this frame's keys: none while somebody types or another window has the keyboard.
pub fn commands(ctx: &Context) -> Vec<Command> {
    if ctx.text_edit_focused() {
        return Vec::new();
    }
    ctx.input(|input| {
        if input.viewport().focused == Some(false) && !input.pointer.has_pointer() {
            return Vec::new();
        }
        input.events.iter().filter_map(command).collect()
    })
}

fn command(event: &Event) -> Option<Command> {
    // With a modifier it is the host's key; repeated, a pause would flicker.
    let Event::Key { key, pressed: true, repeat: false, modifiers, .. } = event else { return None };
    if modifiers.any() {
        return None;
    }
    match key {
        Key::R => Some(Command::Reset),
        Key::P => Some(Command::Pause),
        Key::Num1 => Some(Command::Span(0)),
        Key::Num2 => Some(Command::Span(1)),
        Key::Num3 => Some(Command::Span(2)),
        Key::Num4 => Some(Command::Span(3)),
        Key::Num5 => Some(Command::Span(4)),
        Key::Escape => Some(Command::Close),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use egui::{Modifiers, RawInput};

    use super::*;

    /// The commands of a key that is pressed, and of its repetition.
    fn pressed(key: Key, modifiers: Modifiers) -> Vec<Command> {
        let ctx = Context::default();
        let mut found = Vec::new();
        for repeat in [false, true] {
            let event = Event::Key { key, physical_key: None, pressed: true, repeat, modifiers };
            let input = RawInput { events: vec![event], ..RawInput::default() };
            ctx.run_ui(input, |ui| found.extend(commands(ui.ctx()))).drop_without_applying_deltas();
        }
        found
    }

    #[test]
    fn plain_keys_once() {
        assert_eq!(pressed(Key::R, Modifiers::NONE), [Command::Reset]);
        assert_eq!(pressed(Key::P, Modifiers::NONE), [Command::Pause]);
        assert_eq!(pressed(Key::Num5, Modifiers::NONE), [Command::Span(4)]);
        assert_eq!(pressed(Key::R, Modifiers::CTRL), []);
        assert_eq!(pressed(Key::Space, Modifiers::NONE), []);
    }
}
