//! A sorted set of integers in Redis's intset layout: `encoding:u32le  length:u32le  integers` of 2, 4 or 8 bytes each.
