//! Cells against places, and the partial sort against a whole one.

use proptest::prelude::*;

use super::*;

fn point() -> impl Strategy<Value = Point> {
    (-LONGITUDE_MAX..=LONGITUDE_MAX, -LATITUDE_MAX..=LATITUDE_MAX)
        .prop_map(|(longitude, latitude)| Point { longitude, latitude })
}

proptest! {
    #[test]
    fn a_score_gives_its_place_back(point in point()) {
        let back = Point::of_score(point.score());
        prop_assert!(point.distance(back) < 1.0, "{:?}", back);
        prop_assert_eq!(back.score(), point.score());
    }

    #[test]
    fn bits_spread_come_back(value in any::<u32>(), other in any::<u32>()) {
        let bits = spread(value) | spread(other) << 1;
        prop_assert_eq!((gather(bits), gather(bits >> 1)), (value, other));
    }

    #[test]
    fn what_is_near_is_in_the_cells(center in point(), radius in 1.0..2e5f64, east in -1.0..1.0f64, north in -1.0..1.0f64) {
        let shape = Shape { center, extent: Extent::Radius(radius), unit_m: 1.0 };
        let degree_m = 111_000.0;
        let point = Point {
            longitude: center.longitude + east * radius / degree_m,
            latitude: center.latitude + north * radius / degree_m,
        };
        // Far from where Redis's cells end, too.
        prop_assume!(point.is_valid() && point.longitude.abs() < 170.0 && point.latitude.abs() < 60.0);
        prop_assume!(shape.contains(point).is_some());
        let score = point.score();
        prop_assert!(scores(&shape).any(|(min, max)| min <= score && score < max));
    }

    #[test]
    fn what_is_wanted_is_sorted(
        mut items in prop::collection::vec(0u8..20, 0..200),
        start in 0usize..210,
        count in 0usize..210,
    ) {
        let mut sorted = items.clone();
        sorted.sort_unstable();
        partial_sort(&mut items, start..start + count, Ord::cmp);
        let (start, end) = (start.min(items.len()), (start + count).min(items.len()));
        prop_assert_eq!(&items[start..end], &sorted[start..end]);
        items.sort_unstable();
        prop_assert_eq!(items, sorted);
    }
}
