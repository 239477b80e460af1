//! The telephone network.

use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

use super::{Seeded, Sound, resample};

/// ITU-T G.711 at 8 kHz: µ-law, then A-law, each coding what the one before gave.
pub fn g711(sound: &mut Sound, _: &mut Seeded) -> Result<(), String> {
    resample(sound, 8_000)?;
    for x in sound.channels.iter_mut().flatten() {
        let linear = (*x * 32_768.0).round() as i16;
        let linear = decode_alaw(encode_alaw(decode_ulaw(encode_ulaw(linear))));
        *x = f32::from(linear) / 32_768.0;
    }
    Ok(())
}
