//! Places on earth as scores of a sorted set: longitude and latitude interleaved to 52 bits, so that near places have near scores.
//!
//! ```text
//! bits = lon25 lat25 lon24 lat24 ... lon0 lat0        a cell of step s keeps the first 2*s of them
//! ```
//!
//! Invariant: the order of floating-point operations is that of Redis, since its digits are.

mod cover;
mod partial_sort;
mod shape;

pub use cover::scores;
pub use partial_sort::partial_sort;
pub use shape::{Extent, Shape};

/// Longitudes are at most this, either way.
pub const LONGITUDE_MAX: f64 = 180.0;
/// Latitudes are at most this, either way: the web map's square ends there.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// The finest cells, which scores are.
const STEP_MAX: u32 = 26;
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// East of Greenwich.
    pub longitude: f64,
    /// North of the equator.
    pub latitude: f64,
}

/// A rectangle of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    bits: u64,
    step: u32,
}

/// What a cell covers, in degrees.
#[derive(Clone, Copy, Debug)]
struct Area {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

impl Point {
    /// True when it can be a score.
    pub fn is_valid(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    /// The score of the finest cell around it.
    #[expect(clippy::cast_precision_loss, reason = "52 bits, and one more at the very edge")]
    pub fn score(self) -> f64 {
        self.cell(STEP_MAX).bits as f64
    }

    /// The middle of a score's cell. Scores that are no cells give some place, as in Redis.
    pub fn of_score(score: f64) -> Point {
        let area = Cell { bits: as_bits(score), step: STEP_MAX }.area();
        Point {
            longitude: f64::midpoint(area.west, area.east).clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: f64::midpoint(area.south, area.north).clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }

    /// The geohash of the usual kind, whose latitudes go to the poles; the last letter carries nothing.
    pub fn geohash(self) -> [u8; 11] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = self.cell_within(STEP_MAX, 90.0).bits;
        let mut text = [b'0'; 11];
        for (letter, at) in text.iter_mut().take(10).zip(1..) {
            let index = usize::try_from(bits >> (52 - at * 5) & 31).unwrap_or(0);
            *letter = ALPHABET.get(index).copied().unwrap_or(b'0');
        }
        text
    }

    /// The distance over the earth's surface, in metres.
    pub fn distance(self, other: Point) -> f64 {
        let (from, to) = (self.longitude * RADIANS, other.longitude * RADIANS);
        let v = ((to - from) / 2.0).sin();
        if v == 0.0 {
            return self.latitude_distance(other);
        }
        let (from, to) = (self.latitude * RADIANS, other.latitude * RADIANS);
        let u = ((to - from) / 2.0).sin();
        let a = u * u + from.cos() * to.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }

    /// The distance of the parallels, in metres.
    fn latitude_distance(self, other: Point) -> f64 {
        EARTH_RADIUS_M * (other.latitude * RADIANS - self.latitude * RADIANS).abs()
    }

    fn cell(self, step: u32) -> Cell {
        self.cell_within(step, LATITUDE_MAX)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an offset is within 0..=2^step"
    )]
    fn cell_within(self, step: u32, latitude_max: f64) -> Cell {
        let scale = (1u64 << step) as f64;
        let latitude = (self.latitude + latitude_max) / (latitude_max + latitude_max);
        let longitude = (self.longitude + LONGITUDE_MAX) / (LONGITUDE_MAX + LONGITUDE_MAX);
        let bits = spread((latitude * scale) as u32) | spread((longitude * scale) as u32) << 1;
        Cell { bits, step }
    }
}

impl Cell {
    #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
    fn area(self) -> Area {
        let (latitude, longitude) = (gather(self.bits), gather(self.bits >> 1));
        let scale = (1u64 << self.step) as f64;
        let degrees = |at: u32, max: f64| -max + (f64::from(at) / scale) * (max + max);
        Area {
            west: degrees(longitude, LONGITUDE_MAX),
            east: degrees(longitude.wrapping_add(1), LONGITUDE_MAX),
            south: degrees(latitude, LATITUDE_MAX),
            north: degrees(latitude.wrapping_add(1), LATITUDE_MAX),
        }
    }
}

/// A score as C converts it to an unsigned integer on x86-64, whatever it is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what becomes of scores out of range is the point"
)]
fn as_bits(score: f64) -> u64 {
    const TOP: f64 = 9_223_372_036_854_775_808.0;
    if score < TOP {
        score as i64 as u64
    } else if score < TOP * 2.0 {
        score as u64
    } else {
        0
    }
}

/// Puts the bits of a number into the even positions.
fn spread(value: u32) -> u64 {
    let mut x = u64::from(value);
    for (shift, mask) in STAGES.iter().rev() {
        x = (x | x << shift) & mask;
    }
    x
}

/// Takes the bits in the even positions.
fn gather(bits: u64) -> u32 {
    let mut x = bits & EVEN;
    for (shift, mask) in STAGES.iter().zip(STAGES.iter().skip(1)).map(|(a, b)| (a.0, b.1)) {
        x = (x | x >> shift) & mask;
    }
    u32::try_from((x | x >> 16) & 0xffff_ffff).unwrap_or(0)
}

/// The even positions.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// How far bits move, and where they are before.
const STAGES: [(u32, u64); 5] = [
    (1, EVEN),
    (2, 0x3333_3333_3333_3333),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (8, 0x00ff_00ff_00ff_00ff),
    (16, 0x0000_ffff_0000_ffff),
];

#[cfg(test)]
mod tests;
