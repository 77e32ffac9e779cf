//! Random commands give the same on redis-server and here.

use ringstone_tests::differ::{Options, run};
use ringstone_tests::server::Launch;

#[test]
fn random_commands_answer_as_redis_does_and_leave_the_same_data() {
    for (seed, shards, resp3) in [(1, 1, false), (2, 1, true), (3, 2, false), (4, 2, true)] {
        let launch = Launch::ringstone().shards(shards);
        let report = run(&Options { launch, seed, seeds: 1, commands: 1000, resp3 });
        assert!(report.commands > 800, "{} commands", report.commands);
        assert!(report.differences.is_empty(), "{}", report.differences.join("\n"));
    }
}
