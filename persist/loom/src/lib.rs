//! Every interleaving of the watermarks, as loom finds them. The module under test is persist's own file; only the atomics
//! that it names are loom's.

/// Loom's atomics in the place of `std`'s.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[path = "../../src/log/watermark.rs"]
pub mod watermark;

#[cfg(test)]
mod tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU64, Ordering};
    use loom::thread;

    use super::watermark::Watermarks;

    /// All interleavings with at most three preemptions.
    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    /// Two shards take a GSN each and finish it; a reader must never see a GSN as done whose frame is not.
    #[test]
    fn a_gsn_that_is_not_finished_is_never_seen_as_done() {
        check(|| {
            let marks = Arc::new(Watermarks::new(2, 1));
            // Bit g is set before the frame of GSN g counts as finished.
            let finished = Arc::new(AtomicU64::new(0));
            let shards: Vec<_> = (0..2)
                .map(|shard| {
                    let (marks, finished) = (Arc::clone(&marks), Arc::clone(&finished));
                    thread::spawn(move || {
                        let gsn = marks.take_gsn(shard);
                        finished.fetch_or(1 << gsn, Ordering::SeqCst);
                        marks.publish(shard, None, Some(gsn));
                    })
                })
                .collect();
            let written = marks.written();
            let seen = finished.load(Ordering::SeqCst);
            for gsn in 1..=written {
                assert!(seen & (1 << gsn) != 0, "GSN {gsn} counts as written and is not");
            }
            assert_eq!(marks.synced(), 0, "nothing was ever durable");
            for shard in shards {
                shard.join().unwrap();
            }
            assert_eq!((marks.written(), marks.synced(), marks.next_gsn()), (2, 0, 3));
        });
    }

    /// A shard that takes a second GSN while the first is outstanding keeps the bound of the first.
    #[test]
    fn an_outstanding_gsn_holds_the_mark_down() {
        check(|| {
            let marks = Arc::new(Watermarks::new(2, 1));
            let other = {
                let marks = Arc::clone(&marks);
                thread::spawn(move || {
                    let gsn = marks.take_gsn(1);
                    marks.publish(1, None, None);
                    gsn
                })
            };
            let first = marks.take_gsn(0);
            let second = marks.take_gsn(0);
            assert!(first < second);
            assert!(marks.written() < first);
            marks.publish(0, Some(second), Some(second));
            assert!(marks.written() < second);
            marks.publish(0, None, None);
            other.join().unwrap();
            assert_eq!(marks.written(), 3);
        });
    }
}
