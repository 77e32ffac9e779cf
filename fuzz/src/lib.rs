//! What the fuzz targets share.

pub mod memory_disk;
pub mod rdb;
