//! The cells that cover a shape: one around its middle and the eight around that, as far as they are needed.

use super::{Area, Cell, EVEN, STEP_MAX, Shape};

/// Half the side of the web map's square, in metres.
const MERCATOR_MAX: f64 = 20_037_726.37;
const ODD: u64 = EVEN << 1;

/// Directions to the neighbours, east and north, in the order in which they are searched.
const AROUND: [(i8, i8); 8] =
    [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// Ranges of scores, the second bound not included, that hold every place in the shape.
pub fn scores(shape: &Shape) -> impl Iterator<Item = (f64, f64)> {
    let cells = cells(shape);
    // Cells that repeat the one before them, as neighbours on a coarse map do, would give places twice. The comparison with
    // the first one is left out, as Redis leaves it out.
    let mut before: Option<Cell> = None;
    cells.into_iter().enumerate().filter_map(move |(at, cell)| {
        let cell = cell?;
        if before == Some(cell) {
            return None;
        }
        before = (at > 0).then_some(cell).or(before);
        Some(cell.score_range())
    })
}

fn cells(shape: &Shape) -> [Option<Cell>; 9] {
    let bounds = shape.bounds();
    let mut step = step_for(shape.reach_m(), shape.center.latitude);
    let mut middle = shape.center.cell(step);
    let area = |(east, north): (i8, i8)| middle.neighbour(east, north).area();
    let too_small = area((0, 1)).north < bounds.north
        || area((0, -1)).south > bounds.south
        || area((1, 0)).east < bounds.east
        || area((-1, 0)).west > bounds.west;
    if step > 1 && too_small {
        step -= 1;
        middle = shape.center.cell(step);
    }
    let Area { west, east, south, north } = middle.area();
    let needed = |(x, y): (i8, i8)| {
        step < 2
            || !((y < 0 && south < bounds.south)
                || (y > 0 && north > bounds.north)
                || (x < 0 && west < bounds.west)
                || (x > 0 && east > bounds.east))
    };
    let mut cells = [None; 9];
    for (cell, direction) in cells.iter_mut().zip(std::iter::once((0, 0)).chain(AROUND)) {
        let wanted = direction == (0, 0) || needed(direction);
        *cell = wanted.then(|| middle.neighbour(direction.0, direction.1));
    }
    cells
}

/// How fine cells are, so that nine of them cover so many metres around a place of this latitude.
fn step_for(reach_m: f64, latitude: f64) -> u32 {
    if reach_m == 0.0 {
        return STEP_MAX;
    }
    let mut reach_m = reach_m;
    let mut step = 1i32;
    while reach_m < MERCATOR_MAX {
        reach_m *= 2.0;
        step += 1;
    }
    step -= 2;
    // Meridians come together towards the poles.
    step -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    u32::try_from(step).unwrap_or(1).clamp(1, STEP_MAX)
}

impl Cell {
    /// The cell so many steps to the east and to the north; the map has no edges.
    fn neighbour(self, east: i8, north: i8) -> Cell {
        let unused = 64 - self.step * 2;
        let (longitude, latitude) = (self.bits & ODD, self.bits & EVEN);
        let longitude = moved(longitude, EVEN >> unused, ODD >> unused, east);
        let latitude = moved(latitude, ODD >> unused, EVEN >> unused, north);
        Cell { bits: longitude | latitude, ..self }
    }

    /// Scores of the places in it, the second bound not included.
    #[expect(clippy::cast_precision_loss, reason = "52 bits, and a few more at the very edge")]
    fn score_range(self) -> (f64, f64) {
        let shift = 52 - self.step * 2;
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

/// One coordinate of a cell moved by a step: `others` are the bits between its own, filled so that a carry passes them.
fn moved(coordinate: u64, others: u64, own: u64, by: i8) -> u64 {
    match by {
        0 => coordinate,
        1.. => coordinate.wrapping_add(others + 1) & own,
        _ => (coordinate | others).wrapping_sub(others + 1) & own,
    }
}
