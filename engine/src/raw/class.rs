//! Allocation classes of jemalloc, so that an entry uses the whole block that it gets.

/// The bytes that an allocation of `bytes` really takes: multiples of 16 up to 128, then four classes a doubling.
pub const fn size_class(bytes: usize) -> usize {
    if bytes <= 128 {
        return (bytes + 15) & !15;
    }
    let step = 1 << ((bytes - 1).ilog2() - 2);
    (bytes + step - 1) & !(step - 1)
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn classes_are_those_of_jemalloc() {
        let got: Vec<_> =
            [1, 16, 17, 92, 100, 129, 160, 161, 257, 1025].into_iter().map(size_class).collect();
        assert_eq!(got, [16, 16, 32, 96, 112, 160, 160, 192, 320, 1280]);
    }
}
