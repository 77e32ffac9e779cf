//! The atomics that [`super::watermark`] uses; its loom test puts loom's in their place.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
