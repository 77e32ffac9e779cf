//! Both encodings agree with a plain array of registers, and broken bytes never do harm.

use proptest::prelude::*;

use super::*;

fn added(elements: impl Iterator<Item = u32>, sparse_len_max: usize) -> (Vec<u8>, Registers) {
    let (mut bytes, mut model) = (new(), [0; REGISTERS]);
    for element in elements {
        let (index, value) = place_of(&element.to_le_bytes());
        let changed = raise(&mut bytes, index, value, sparse_len_max).unwrap();
        assert_eq!(changed, model[index] < value);
        model[index] = model[index].max(value);
    }
    (bytes, model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn registers_are_those_of_an_array(from in any::<u32>(), count in 0u32..3000, len_max in 0usize..6000) {
        let (bytes, model) = added((0..count).map(|i| from.wrapping_add(i)), len_max);
        let mut registers = [0; REGISTERS];
        merge(&bytes, &mut registers).unwrap();
        prop_assert!(registers == model);
        let estimate = count_error(&bytes, count);
        prop_assert!(estimate <= 0.06, "{}", estimate);
        let mut dense = bytes.clone();
        make_dense(&mut dense).unwrap();
        prop_assert_eq!(super::count(&dense), super::count(&bytes));
    }

    #[test]
    fn broken_runs_are_errors(
        mut body in prop::collection::vec(any::<u8>(), 0..60),
        index in 0..REGISTERS,
        value in 1u8..52,
    ) {
        let mut bytes = new();
        bytes.truncate(HEADER_LEN);
        bytes.append(&mut body);
        let _ = (count(&bytes), merge(&bytes, &mut [0; REGISTERS]));
        let _ = raise(&mut bytes, index, value, 3000);
        let _ = make_dense(&mut bytes);
    }
}

fn count_error(bytes: &[u8], count: u32) -> f64 {
    let estimate = super::count(bytes).unwrap() as f64;
    (estimate - f64::from(count)).abs() / f64::from(count.max(10))
}

#[test]
fn registers_do_not_touch_their_neighbours() {
    let mut bytes = vec![0; DENSE_LEN];
    let value = |index: usize| u8::try_from(index * 7 % 64).unwrap();
    for index in (0..REGISTERS).rev() {
        dense::set(&mut bytes, index, 63);
        dense::set(&mut bytes, index, value(index));
    }
    assert!((0..REGISTERS).all(|index| dense::get(&bytes, index) == value(index)));
    assert!(dense::iter(&bytes[HEADER_LEN..]).eq((0..REGISTERS).map(value)));
}
