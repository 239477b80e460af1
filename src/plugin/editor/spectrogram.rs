//! What the model sees: the frames of the last window as a picture.

use egui::{Color32, ColorImage, Painter, Rect, Stroke, TextureHandle, TextureOptions, Ui, pos2, vec2};

use super::theme;
use crate::plugin::monitor::Strip;

/// The picture and what it was made from.
#[derive(Default)]
pub struct Spectrogram {
    texture: Option<TextureHandle>,
    /// [`Strip::received`] of the picture.
    received: u64,
}

impl Spectrogram {
    /// Draws the strip; a new picture is made only when there are new frames.
    pub fn show(&mut self, ui: &Ui, rect: Rect, strip: &Strip) {
        let inner = theme::card(ui.painter(), rect);
        let painter = ui.painter();
        let title = theme::title(painter, "WHAT THE MODEL HEARS");
        let scale = theme::scale(ui.ctx());
        let plot = Rect::from_min_max(
            pos2(inner.left() + 30.0 * scale, inner.top() + title.size().y + 10.0),
            pos2(inner.right(), inner.bottom() - 16.0 * scale),
        );
        painter.galley(inner.min, title, theme::TEXT_DIM);
        if !plot.is_positive() {
            return;
        }
        theme::plot(painter, plot);
        if self.texture.is_none() || self.received != strip.received {
            self.upload(ui, strip);
        }
        let seconds = duration(strip);
        match &self.texture {
            Some(texture) => {
                let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
                painter.image(texture.id(), plot, whole, Color32::WHITE);
            }
            None => {
                let galley = theme::label(painter, "No sound yet", theme::TEXT_DIM);
                painter.galley(theme::middle(&galley, plot.center()), galley, theme::TEXT_DIM);
            }
        }
        axes(painter, inner, plot, strip, seconds);
    }

    fn upload(&mut self, ui: &Ui, strip: &Strip) {
        self.received = strip.received;
        let Some(image) = picture(strip) else {
            self.texture = None;
            return;
        };
        match &mut self.texture {
            Some(texture) => texture.set(image, TextureOptions::LINEAR),
            None => {
                self.texture = Some(ui.ctx().load_texture("bonafide strip", image, TextureOptions::LINEAR))
            }
        }
    }
}

fn duration(strip: &Strip) -> f64 {
    let frames = strip.levels.len().checked_div(strip.n_mels).unwrap_or(0);
    if strip.frame_rate > 0.0 { frames as f64 / strip.frame_rate } else { 0.0 }
}

fn axes(painter: &Painter, inner: Rect, plot: Rect, strip: &Strip, seconds: f64) {
    let text = |text: &str| theme::axis(painter, text);
    for (word, y) in [("high", plot.top() + 6.0), ("low", plot.bottom() - 6.0)] {
        let galley = text(word);
        painter.galley(theme::middle_right(&galley, pos2(plot.left() - 6.0, y)), galley, theme::TEXT_FAINT);
    }
    if seconds <= 0.0 {
        return;
    }
    let below = plot.bottom() + 4.0;
    let from = text(&format!("-{seconds:.1} s"));
    painter.galley(pos2(plot.left(), below), from, theme::TEXT_FAINT);
    let now = text("now");
    painter.galley(pos2(plot.right() - now.size().x, below), now, theme::TEXT_FAINT);
    let bands = text(&format!("{} bands", strip.n_mels));
    if bands.size().x < plot.width() - 90.0 {
        painter.galley(pos2(plot.center().x - 0.5 * bands.size().x, below), bands, theme::TEXT_FAINT);
    }
    let range = text(&format!("{:.0} dB", strip.range_db));
    let scale = Rect::from_min_size(pos2(inner.right() - 46.0, inner.top() + 3.0), vec2(46.0, 6.0));
    let title_end = inner.left() + 190.0 * theme::scale(painter.ctx());
    if scale.left() - range.size().x - 8.0 > title_end {
        for i in 0..46 {
            let colour = colour(i as f32 / 45.0);
            painter.vline(scale.left() + i as f32, scale.y_range(), Stroke::new(1.5, colour));
        }
        let pos = theme::middle_right(&range, pos2(scale.left() - 6.0, scale.center().y));
        painter.galley(pos, range, theme::TEXT_FAINT);
    }
}

/// The strip as an image, time to the right, low bands at the bottom; `None` if there is nothing.
fn picture(strip: &Strip) -> Option<ColorImage> {
    let frames = strip.levels.len().checked_div(strip.n_mels)?;
    // A texture's side is limited; a window has some hundred frames.
    if frames == 0 || frames > 4096 || strip.n_mels > 4096 {
        return None;
    }
    let table: [Color32; 256] = std::array::from_fn(|i| colour(i as f32 / 255.0));
    let mut pixels = vec![Color32::BLACK; frames * strip.n_mels];
    for (i, level) in strip.levels.iter().take(pixels.len()).enumerate() {
        let (frame, band) = (i / strip.n_mels, i % strip.n_mels);
        pixels[(strip.n_mels - 1 - band) * frames + frame] = table[usize::from(*level)];
    }
    Some(ColorImage::new([frames, strip.n_mels], pixels))
}

/// Magma: as bright as loud, and told apart by any eyes.
fn colour(level: f32) -> Color32 {
    let colour = colorous::MAGMA.eval_continuous(f64::from(level));
    Color32::from_rgb(colour.r, colour.g, colour.b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loud_is_bright_and_low_is_at_the_bottom() {
        let levels = [0, 255, 0, 0, 255, 127].into();
        let strip = Strip { n_mels: 2, frame_rate: 100.0, levels, range_db: 80.0, received: 3 };
        let image = picture(&strip).expect("a picture");
        assert_eq!(image.size, [3, 2]);
        let (dark, bright) = (colour(0.0), colour(1.0));
        assert_eq!(image.pixels[..3], [bright, dark, colour(127.0 / 255.0)]);
        assert_eq!(image.pixels[3..], [dark, dark, bright]);
        assert_eq!(duration(&strip), 0.03);
    }

    #[test]
    fn nothing_from_nothing() {
        assert!(picture(&Strip::default()).is_none());
        assert_eq!(duration(&Strip::default()), 0.0);
    }
}
