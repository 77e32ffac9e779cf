//! `ringstone log dump`: what a log holds, for eyes and for programs.
//!
//! Of a directory, the frames that a start would replay, in the order of their GSNs. Of one file, all frames that validate in
//! it, in the order in which they stand there, whether they count or not.

use std::path::{Path, PathBuf};

use clap::Args;
use ringstone_persist::disk::overlay::Overlay;
use ringstone_persist::disk::{Disk, block_on};
use ringstone_persist::log::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameSeed};
use ringstone_persist::log::segment::header_of;
use ringstone_persist::log::{FrameKind, SegmentId, scan_segment};
use serde_json::json;

use super::effects::{Effect, effects};
use super::output::Progress;
use super::place::{Hold, Server};
use super::{Failure, Outcome, Output, Verdict, log, times};

/// What to print.
#[derive(Args)]
pub(crate) struct Options {
    /// A server's directory, a log's directory, a segment or a stage
    path: PathBuf,
    /// Leave out what comes before this GSN
    #[arg(long, value_name = "GSN", default_value_t = 0)]
    from_gsn: u64,
    /// Leave out what comes after this GSN
    #[arg(long, value_name = "GSN", default_value_t = u64::MAX, hide_default_value = true)]
    to_gsn: u64,
    /// Leave out frames that were made before this time: 2026-11-24T17:00:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    from_time: Option<u64>,
    /// Leave out frames that were made after this time
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    to_time: Option<u64>,
    /// Only frames of this shard's log
    #[arg(long)]
    shard: Option<u32>,
    /// Each frame as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// A frame with where it stands.
struct Shown<'a> {
    segment: SegmentId,
    offset: u64,
    header: FrameHeader,
    records: &'a [u8],
}

/// Prints the frames.
pub(crate) fn run(options: &Options, out: &mut Output) -> Outcome {
    if options.path.is_dir() { directory(options, out) } else { file(options, out) }?;
    Ok(Verdict::Sound)
}

fn directory(options: &Options, out: &mut Output) -> Result<(), Failure> {
    let config = options.server.config(&options.path)?;
    let dir = config.log_dir();
    let _hold = Hold::shared(&config.dir)?;
    let cannot = |why: &dyn std::fmt::Display| format!("the log in {}: {why}", dir.display());
    let opened = log::open(&config, true).map_err(|error| cannot(&error))?;
    let opened = opened.ok_or_else(|| cannot(&"there is none"))?;
    opened.recovered.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut frames = opened.recovered.replay::<Overlay>();
    let disk = &*opened.disk;
    while let Some(frame) = block_on(frames.next(disk)).map_err(|error| cannot(&error))? {
        let shown = Shown {
            segment: frame.segment,
            offset: frame.offset,
            header: frame.header,
            records: frame.records,
        };
        show(options, &shown, out)?;
    }
    Ok(())
}

fn file(options: &Options, out: &mut Output) -> Result<(), Failure> {
    let path = &options.path;
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    let disk = Overlay::default();
    let file = block_on(disk.open(path)).map_err(fail)?;
    let mut block = vec![0; 4096];
    let filled = block_on(disk.read_full_at(&file, &mut block, 0)).map_err(fail)?;
    block.truncate(filled);
    let (log, id) = header_of(&block)
        .ok_or_else(|| format!("{}: neither a segment nor a stage", path.display()))?;
    let scan = {
        let _progress = Progress::unknown("reading");
        block_on(scan_segment(&disk, path, &log, id)).map_err(fail)?
    };
    let mut header = [0; FRAME_HEADER_BYTES];
    let dir = std::path::absolute(path).map_err(fail)?;
    let dir = dir.parent().unwrap_or(Path::new("/"));
    let mut opener = None;
    for frame in &scan.frames {
        let seed = FrameSeed::new(&log, frame.sealed_for);
        block_on(disk.read_full_at(&file, &mut header, frame.offset)).map_err(fail)?;
        let Some(header) = FrameHeader::decode(&header, &seed) else { continue };
        let mut records = vec![0; usize::try_from(frame.payload_len).unwrap_or(0)];
        let at = frame.offset + FRAME_HEADER_BYTES as u64;
        let filled = block_on(disk.read_full_at(&file, &mut records, at)).map_err(fail)?;
        records.truncate(filled);
        if header.key != 0 {
            if opener.is_none() {
                let keys = log::opener(&options.server.plain()?, dir);
                opener = Some(keys.map_err(|error| format!("{}: {error}", path.display()))?);
            }
            let place = format!("{}, offset {}", path.display(), frame.offset);
            let opened = opener.as_ref().map(|opener| opener.open(&header, &mut records, &place));
            if let Some(Err(error)) = opened {
                tracing::warn!("{error}");
                continue;
            }
        }
        let shown = Shown { segment: id, offset: frame.offset, header, records: &records };
        show(options, &shown, out)?;
    }
    for hole in &scan.holes {
        tracing::warn!("{}: bytes that are no frame from offset {hole} on", name(path));
    }
    if scan.tail_bytes {
        tracing::warn!("{}: bytes behind the last frame are none: offset {}", name(path), scan.end);
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_wanted(options: &Options, header: &FrameHeader) -> bool {
    (options.from_gsn..=options.to_gsn).contains(&header.gsn)
        && options.from_time.is_none_or(|from| header.wall_ms >= from)
        && options.to_time.is_none_or(|to| header.wall_ms <= to)
        && options.shard.is_none_or(|shard| shard == header.shard)
}

fn kind(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Batch => "batch",
        FrameKind::Transaction => "transaction",
        FrameKind::Cut => "cut",
        FrameKind::Function => "function",
        FrameKind::Mark => "mark",
    }
}

fn show(options: &Options, frame: &Shown<'_>, out: &mut Output) -> Result<(), Failure> {
    let Shown { segment, offset, header, records } = frame;
    if !is_wanted(options, header) {
        return Ok(());
    }
    let effects = effects(records);
    if options.json {
        return out.line(as_json(frame, effects));
    }
    out.line(format_args!(
        "gsn {} {} shard {} epoch {} durable {} {} {segment}:{offset}",
        header.gsn,
        kind(header.kind),
        header.shard,
        header.epoch,
        header.durable_gsn,
        times::format(header.wall_ms),
    ))?;
    match effects {
        Ok(effects) => {
            effects.iter().try_for_each(|e| out.line(format_args!("  [{}] {}", e.db, e.line())))
        }
        Err(why) => out.line(format_args!("  {} bytes that are no effects: {why}", records.len())),
    }
}

fn as_json(frame: &Shown<'_>, effects: Result<Vec<Effect>, String>) -> serde_json::Value {
    let header = &frame.header;
    let mut value = json!({
        "gsn": header.gsn, "kind": kind(header.kind), "shard": header.shard, "epoch": header.epoch,
        "durable_gsn": header.durable_gsn, "wall_ms": header.wall_ms, "time": times::format(header.wall_ms),
        "file": frame.segment.to_string(), "offset": frame.offset,
    });
    let (field, content) = match effects {
        Ok(effects) => {
            let effects = effects.iter().map(|e| json!({ "db": e.db, "command": e.line() }));
            ("effects", effects.collect())
        }
        Err(why) => ("error", json!(why)),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert(field.to_owned(), content);
    }
    value
}
