//! INFO memory.

use std::fmt::Write;

use super::About;

pub(super) fn memory(out: &mut String, about: &About<'_>) {
    let shared = about.shared;
    let usage = about.memory;
    let rss = crate::memory::rss_bytes();
    let peak = shared.memory_peak(usage.allocated);
    let startup = shared.memory_at_start();
    let overhead = about.all.overhead_bytes(startup);
    let dataset = usage.allocated.saturating_sub(overhead);
    let total = total_memory();
    line!(out, "# Memory");
    line!(out, "used_memory:{}", usage.allocated);
    line!(out, "used_memory_human:{}", human(usage.allocated));
    line!(out, "used_memory_rss:{rss}");
    line!(out, "used_memory_rss_human:{}", human(rss));
    line!(out, "used_memory_peak:{peak}");
    line!(out, "used_memory_peak_human:{}", human(peak));
    line!(out, "used_memory_peak_perc:{:.2}%", usage.allocated as f64 * 100.0 / peak.max(1) as f64);
    line!(out, "used_memory_overhead:{overhead}");
    line!(out, "used_memory_startup:{startup}");
    line!(out, "used_memory_dataset:{dataset}");
    line!(
        out,
        "used_memory_dataset_perc:{:.2}%",
        dataset as f64 * 100.0 / usage.allocated.saturating_sub(startup).max(1) as f64
    );
    line!(out, "allocator_allocated:{}", usage.allocated);
    line!(out, "allocator_active:{}", usage.active);
    line!(out, "allocator_resident:{}", usage.resident);
    line!(out, "total_system_memory:{total}");
    line!(out, "total_system_memory_human:{}", human(total));
    scripts(out, about);
    let limit = usize::try_from(about.config.maxmemory).unwrap_or(usize::MAX);
    line!(out, "maxmemory:{limit}");
    line!(out, "maxmemory_human:{}", human(limit));
    line!(out, "maxmemory_policy:{}", about.config.maxmemory_policy.word());
    line!(out, "allocator_frag_ratio:{:.2}", usage.active as f64 / usage.allocated.max(1) as f64);
    line!(out, "allocator_frag_bytes:{}", usage.active.saturating_sub(usage.allocated));
    line!(out, "allocator_rss_ratio:{:.2}", usage.resident as f64 / usage.active.max(1) as f64);
    line!(out, "allocator_rss_bytes:{}", usage.resident.saturating_sub(usage.active));
    line!(out, "rss_overhead_ratio:{:.2}", rss as f64 / usage.resident.max(1) as f64);
    line!(out, "rss_overhead_bytes:{}", rss.saturating_sub(usage.resident));
    line!(out, "mem_fragmentation_ratio:{:.2}", rss as f64 / usage.allocated.max(1) as f64);
    line!(out, "mem_fragmentation_bytes:{}", rss.saturating_sub(usage.allocated));
    line!(out, "mem_not_counted_for_evict:{}", about.all.log_pending_bytes);
    let backlog = about.all.replication.as_ref().and_then(|facts| facts.backlog);
    line!(out, "mem_replication_backlog:{}", backlog.map_or(0, |(_, _, bytes)| bytes));
    line!(out, "mem_total_replication_buffers:0");
    line!(out, "mem_clients_slaves:0");
    line!(out, "mem_clients_normal:{}", about.all.client_bytes);
    line!(out, "mem_cluster_links:0");
    line!(out, "mem_aof_buffer:{}", about.all.log_pending_bytes);
    line!(out, "mem_allocator:jemalloc-5.3.1");
    line!(out, "active_defrag_running:0");
    line!(out, "lazyfree_pending_objects:{}", about.all.lazyfree_pending);
    line!(out, "lazyfreed_objects:{}", about.all.lazyfreed);
}

fn scripts(out: &mut String, about: &About<'_>) {
    let (eval, functions) = about.all.lua_bytes;
    let cached = about.shared.scripts.memory_bytes();
    let libraries = about.shared.libraries.memory_bytes();
    let (library_count, function_count) = about.shared.libraries.counts();
    line!(out, "used_memory_lua:{eval}");
    line!(out, "used_memory_vm_eval:{eval}");
    line!(out, "used_memory_lua_human:{}", human(eval));
    line!(out, "used_memory_scripts_eval:{cached}");
    line!(out, "number_of_cached_scripts:{}", about.shared.scripts.len());
    line!(out, "number_of_functions:{function_count}");
    line!(out, "number_of_libraries:{library_count}");
    line!(out, "used_memory_vm_functions:{functions}");
    line!(out, "used_memory_vm_total:{}", eval + functions);
    line!(out, "used_memory_vm_total_human:{}", human(eval + functions));
    line!(out, "used_memory_functions:{libraries}");
    line!(out, "used_memory_scripts:{}", cached + libraries);
    line!(out, "used_memory_scripts_human:{}", human(cached + libraries));
}

pub(crate) fn human(bytes: usize) -> String {
    const UNITS: &[(f64, &str)] =
        &[(1_099_511_627_776.0, "T"), (1_073_741_824.0, "G"), (1_048_576.0, "M"), (1024.0, "K")];
    let value = bytes as f64;
    let unit = UNITS.iter().find(|(size, _)| value >= *size);
    unit.map_or_else(|| format!("{bytes}B"), |(size, name)| format!("{:.2}{name}", value / size))
}

fn total_memory() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<usize>().ok()
    });
    kib.unwrap_or(0) * 1024
}
