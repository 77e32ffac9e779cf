//! What a search looks for.

use super::{EARTH_RADIUS_M, Point, RADIANS};

/// Size of a shape, in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// A circle of this radius.
    Radius(f64),
    /// A box of this width and height.
    Box(f64, f64),
}

/// A circle or a box around a place.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The middle.
    pub center: Point,
    /// The size.
    pub extent: Extent,
    /// Metres a unit.
    pub unit_m: f64,
}

/// The corners of what encloses a shape, in degrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) west: f64,
    pub(super) south: f64,
    pub(super) east: f64,
    pub(super) north: f64,
}

impl Shape {
    /// The distance of a place from the middle, in metres, if it is inside.
    pub fn contains(&self, point: Point) -> Option<f64> {
        match self.extent {
            Extent::Radius(radius) => {
                let distance = self.center.distance(point);
                (distance <= radius * self.unit_m).then_some(distance)
            }
            Extent::Box(width, height) => {
                if point.latitude_distance(self.center) > height * self.unit_m / 2.0 {
                    return None;
                }
                let same_latitude = Point { latitude: point.latitude, ..self.center };
                if point.distance(same_latitude) > width * self.unit_m / 2.0 {
                    return None;
                }
                Some(self.center.distance(point))
            }
        }
    }

    /// The distance from the middle to the farthest point, in metres.
    pub(super) fn reach_m(&self) -> f64 {
        self.unit_m
            * match self.extent {
                Extent::Radius(radius) => radius,
                Extent::Box(width, height) => {
                    let (x, y) = (width / 2.0, height / 2.0);
                    (x * x + y * y).sqrt()
                }
            }
    }

    pub(super) fn bounds(&self) -> Bounds {
        let (width, height) = match self.extent {
            Extent::Radius(radius) => (radius, radius),
            Extent::Box(width, height) => (width / 2.0, height / 2.0),
        };
        let (width, height) = (self.unit_m * width, self.unit_m * height);
        let Point { longitude, latitude } = self.center;
        let high = height / EARTH_RADIUS_M / RADIANS;
        // Degrees of longitude are shortest at the edge that is nearer to a pole.
        let edge = if latitude < 0.0 { latitude - high } else { latitude + high };
        let wide = width / EARTH_RADIUS_M / (edge * RADIANS).cos() / RADIANS;
        Bounds {
            west: longitude - wide,
            south: latitude - high,
            east: longitude + wide,
            north: latitude + high,
        }
    }
}
