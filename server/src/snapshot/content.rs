//! A snapshot's file as those see it who write its content: in clear, or sealed on the way.

use std::io;
use std::path::Path;

use ringstone_persist::crypt::{BODY_AT, FileSealer, Unit};

use crate::rt::file::BlockFile;

/// An open file for one writer.
pub(super) struct ContentFile {
    file: BlockFile,
    sealer: Option<FileSealer>,
    units: Vec<Unit>,
}

impl ContentFile {
    /// Opens (and creates, if `create`) the file.
    pub(super) async fn open(
        path: &Path,
        create: bool,
        sealer: Option<FileSealer>,
    ) -> io::Result<Self> {
        Ok(ContentFile { file: BlockFile::open(path, create).await?, sealer, units: Vec::new() })
    }

    /// Writes whole blocks at an offset of the content. Each offset is written once.
    pub(super) async fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let Some(sealer) = &self.sealer else { return self.file.write_at(offset, bytes).await };
        let mut unit = None;
        let seal = |bytes: &mut [u8]| {
            unit = Some(sealer.seal(offset, bytes).map_err(io::Error::other)?);
            Ok(())
        };
        self.file.write_changed(BODY_AT + offset, bytes, seal).await?;
        self.units.extend(unit);
        Ok(())
    }

    /// Closes the file; what [`ContentFile::finish`] needs to know of it.
    pub(super) async fn close(self) -> io::Result<Vec<Unit>> {
        self.file.close().await?;
        Ok(self.units)
    }

    /// Completes a sealed file, of which others have written these units, and closes it.
    pub(super) async fn finish(mut self, others: Vec<Unit>) -> io::Result<()> {
        if let Some(sealer) = &self.sealer {
            self.units.extend(others);
            let foot = sealer.foot(std::mem::take(&mut self.units)).map_err(io::Error::other)?;
            self.file.write_at(foot.0, &foot.1).await?;
            self.file.write_at(0, sealer.header()).await?;
        }
        self.file.close().await
    }
}
