//! Window of log-mel frames to the model's input tensor, step by step as the manifest says.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, InnerPixel, U8};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::model::{ColourMap, Image, Manifest, Reference, ResizeFilter, Size};

/// Builds input tensors of one model.
pub struct ImageBuilder {
    spec: Image,
    /// Bands of each bank.
    banks: Vec<usize>,
    /// Rows that are no levels, behind the banks.
    measures: usize,
    resizer: Resizer,
}

/// One channel, row by row, values 0..=1.
struct Plane {
    height: usize,
    width: usize,
    pixels: Vec<f32>,
}

impl ImageBuilder {
    /// A builder for the images of a valid manifest.
    pub fn new(manifest: &Manifest) -> Self {
        let banks = manifest.front_end.banks().map(|bank| bank.n_mels).collect();
        let measures = manifest.front_end.n_measures();
        Self { spec: manifest.image.clone(), banks, measures, resizer: Resizer::new() }
    }

    /// Input tensor, row-major `[channels, height, width]`, of a window (frames × `n_bands` dB
    /// values, frame after frame).
    pub fn build(&mut self, window: &[f32]) -> Vec<f32> {
        let spectrogram = self.normalise(window);
        let planes = self.colour(spectrogram);
        let mut tensor = Vec::new();
        for (c, plane) in planes.into_iter().enumerate() {
            let resized = self.resize_plane(plane);
            let Plane { mut pixels, .. } = self.crop(resized);
            let (mean, std) = (self.spec.mean[c], self.spec.std[c]);
            pixels.iter_mut().for_each(|x| *x = (*x - mean) / std);
            if c == 0 { tensor = pixels } else { tensor.append(&mut pixels) }
        }
        tensor
    }

    /// dB to 0..=1 and frames to columns.
    fn normalise(&self, window: &[f32]) -> Plane {
        let height = self.banks.iter().sum::<usize>() + self.measures;
        let width = window.len() / height;
        let references = self.references(window, height);
        let range = self.spec.range_db;
        // Frame by frame first, where the values lie beside each other.
        let mut frames = window.to_vec();
        for frame in frames.chunks_exact_mut(height) {
            for (x, reference) in frame.iter_mut().zip(&references) {
                *x = (*x - reference).clamp(-range, 0.0) / range + 1.0;
            }
        }
        let mut pixels = Vec::with_capacity(window.len());
        for row in 0..height {
            let band = if self.spec.low_at_bottom { height - 1 - row } else { row };
            pixels.extend((0..width).map(|frame| frames[frame * height + band]));
        }
        Plane { height, width, pixels }
    }

    /// What becomes 1 in each row.
    fn references(&self, window: &[f32], height: usize) -> Vec<f32> {
        let mut references = Vec::with_capacity(height);
        for bands in &self.banks {
            let rows = references.len()..references.len() + bands;
            let reference = match self.spec.reference {
                Reference::Fixed(level) => level,
                Reference::Max(_) => {
                    let inside = window.chunks_exact(height).flat_map(|frame| &frame[rows.clone()]);
                    inside.copied().fold(f32::NEG_INFINITY, f32::max)
                }
            };
            references.resize(rows.end, reference);
        }
        references.resize(height, 0.0); // none of the other values lies above 0
        references
    }

    fn colour(&self, gray: Plane) -> Vec<Plane> {
        if self.spec.channels == 1 && self.spec.colour_map == ColourMap::Gray && !self.spec.eight_bit {
            return vec![gray];
        }
        let eight_bit = |x: f32| match (self.spec.eight_bit, self.spec.round_down) {
            (false, _) => x,
            (true, false) => (x * 255.0).round() / 255.0,
            (true, true) => (x * 255.0).floor() / 255.0,
        };
        let channel = |c: usize| {
            let pixel = |x: &f32| self.spec.colour_map.rgb(*x).map_or_else(|| eight_bit(*x), |rgb| rgb[c]);
            Plane { pixels: gray.pixels.iter().map(pixel).collect(), ..gray }
        };
        (0..self.spec.channels).map(channel).collect()
    }

    fn resize_plane(&mut self, plane: Plane) -> Plane {
        let Some(to) = self.spec.resize else { return plane };
        if (to.height, to.width) == (plane.height, plane.width) {
            return plane;
        }
        // Pillow resizes rows first, then columns, and rounds an 8-bit image after each.
        let height = plane.height;
        let wide = self.resize_to(plane, Size { height, width: to.width }, to.filter);
        self.resize_to(wide, Size { height: to.height, width: to.width }, to.filter)
    }

    fn resize_to(&mut self, plane: Plane, size: Size, filter: ResizeFilter) -> Plane {
        let algorithm = match filter {
            ResizeFilter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            ResizeFilter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            ResizeFilter::Nearest => ResizeAlg::Nearest,
        };
        let pixels = if self.spec.eight_bit {
            let source: Vec<U8> = plane.pixels.iter().map(|x| U8::new((x * 255.0).round() as u8)).collect();
            let resized = self.resize(&plane, &source, size, algorithm);
            resized.iter().map(|x| f32::from(x.0) / 255.0).collect()
        } else {
            let source: Vec<F32> = plane.pixels.iter().map(|x| F32::new(*x)).collect();
            self.resize(&plane, &source, size, algorithm).iter().map(|x| x.0).collect()
        };
        Plane { height: size.height, width: size.width, pixels }
    }

    fn resize<P: PixelTrait + InnerPixel>(
        &mut self,
        from: &Plane,
        pixels: &[P],
        to: Size,
        algorithm: ResizeAlg,
    ) -> Vec<P> {
        let mut target = TypedImage::<P>::new(to.width as u32, to.height as u32);
        let options = ResizeOptions::new().resize_alg(algorithm);
        let source = TypedImageRef::new(from.width as u32, from.height as u32, pixels);
        // Sizes are the planes' own and a valid manifest's, so neither step can fail.
        let done = source.map(|source| self.resizer.resize_typed(&source, &mut target, &options));
        debug_assert!(matches!(done, Ok(Ok(_))));
        target.pixels().to_vec()
    }

    fn crop(&self, plane: Plane) -> Plane {
        let Some(Size { height, width }) = self.spec.crop else { return plane };
        // transformers' center_crop: the odd pixel goes to the top and left.
        let (top, left) = ((plane.height - height) / 2, (plane.width - width) / 2);
        let rows = plane.pixels.chunks_exact(plane.width).skip(top).take(height);
        let pixels = rows.flat_map(|row| &row[left..left + width]).copied().collect();
        Plane { height, width, pixels }
    }
}
