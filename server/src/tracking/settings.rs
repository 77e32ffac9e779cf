//! What a connection has said with CLIENT TRACKING and CLIENT CACHING.

use ringstone_engine::Error;

use super::{Caller, Client};
use crate::conn::Conn;

/// What a prefix takes, about: here and where changes are looked up.
const PREFIX_BYTES: usize = 128;

/// Where the messages of a connection go instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The connection.
    pub to: Client,
    /// It was found gone.
    pub broken: bool,
}

/// A connection's tracking, while it is on.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Prefixes, in BCAST mode.
    pub prefixes: Option<Vec<Box<[u8]>>>,
    /// Only keys of commands behind CLIENT CACHING YES.
    pub opt_in: bool,
    /// All keys but those of commands behind CLIENT CACHING NO.
    pub opt_out: bool,
    /// Its own changes are not told.
    pub no_loop: bool,
    /// Who is told instead.
    pub redirect: Option<Redirect>,
    /// The number of the last command that CLIENT CACHING speaks of.
    caching_until: Option<u64>,
}

impl Settings {
    /// BCAST mode.
    pub fn broadcasts(&self) -> bool {
        self.prefixes.is_some()
    }

    /// Bytes that the settings take, about.
    pub fn memory_bytes(&self) -> usize {
        let prefixes = self.prefixes.as_ref().map_or(0, Vec::len);
        size_of::<Settings>() + prefixes * PREFIX_BYTES
    }

    /// CLIENT CACHING speaks of the next command.
    pub fn is_caching(&self) -> bool {
        self.caching_until.is_some()
    }

    /// What these options make of a connection that has tracked already.
    pub fn follow(mut self, before: &Settings) -> Result<Settings, Error> {
        if before.broadcasts() != self.broadcasts() {
            return Err(Error::text(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a \
                 different mode.",
            ));
        }
        self.check()?;
        if (self.opt_in && before.opt_out) || (self.opt_out && before.opt_in) {
            return Err(Error::text(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a \
                 different mode.",
            ));
        }
        if let (Some(new), Some(old)) = (&mut self.prefixes, &before.prefixes) {
            for prefix in new.iter().filter(|prefix| !prefix.is_empty() || new.len() > 1) {
                if let Some(other) = old.iter().find(|other| overlap(other, prefix)) {
                    return Err(overlapping(prefix, "an existing", other));
                }
            }
            check_overlaps(new)?;
            new.extend(old.iter().filter(|prefix| !prefix.is_empty()).cloned());
            new.sort_unstable();
        }
        self.caching_until = before.caching_until;
        Ok(self)
    }

    /// Whether these options go together.
    pub fn check(&self) -> Result<(), Error> {
        if self.broadcasts() && (self.opt_in || self.opt_out) {
            return Err(Error::text("ERR OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if self.opt_in && self.opt_out {
            return Err(Error::text("ERR You can't specify both OPTIN mode and OPTOUT mode"));
        }
        Ok(())
    }
}

/// An error when two of the prefixes would announce the same key.
pub(crate) fn check_overlaps(prefixes: &[Box<[u8]>]) -> Result<(), Error> {
    for (at, prefix) in prefixes.iter().enumerate() {
        if let Some(other) = prefixes.iter().skip(at + 1).find(|other| overlap(other, prefix)) {
            return Err(overlapping(prefix, "another provided", other));
        }
    }
    Ok(())
}

fn overlap(a: &[u8], b: &[u8]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

fn overlapping(prefix: &[u8], which: &str, other: &[u8]) -> Error {
    let text = ringstone_engine::error::word;
    Error::owned(format!(
        "ERR Prefix '{}' overlaps with {which} prefix '{}'. Prefixes for a single client must not overlap.",
        text(prefix),
        text(other)
    ))
}

impl Conn {
    /// The connection's name for other shards.
    pub fn as_client(&self, shard: usize) -> Client {
        Client { shard, conn: self.id, id: self.client_id }
    }

    /// Who runs its commands, if it tracks.
    pub fn caller(&self, shard: usize) -> Option<Caller> {
        let settings = self.tracking.as_ref()?;
        let wanted = match (settings.opt_in, settings.opt_out) {
            (true, _) => settings.is_caching(),
            (_, true) => !settings.is_caching(),
            (false, false) => true,
        };
        let remembers = wanted && !settings.broadcasts();
        Some(Caller { client: self.as_client(shard), remembers })
    }

    /// CLIENT CACHING: it speaks of the next command, or of the transaction that begins there.
    pub fn set_caching(&mut self) {
        let next = self.commands + 1;
        if let Some(settings) = &mut self.tracking {
            settings.caching_until = Some(next);
        }
    }

    /// A command begins: what CLIENT CACHING said may be over. CLIENT's own subcommands and what is queued do not count.
    pub fn note_command_begins(&mut self) {
        let lasts = self.is_queueing() || self.last_command.starts_with("client|");
        let now = self.commands;
        if let Some(settings) = &mut self.tracking
            && let Some(until) = &mut settings.caching_until
        {
            if lasts {
                *until = (*until).max(now);
            } else if now > *until {
                settings.caching_until = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broadcast(prefixes: &[&str]) -> Settings {
        let prefixes = prefixes.iter().map(|prefix| prefix.as_bytes().into()).collect();
        Settings { prefixes: Some(prefixes), ..Settings::default() }
    }

    #[test]
    fn prefixes_add_up_and_must_not_overlap() {
        let first = broadcast(&["foo", "bar"]);
        let both = broadcast(&["x"]).follow(&first).unwrap();
        let names: Vec<_> = both.prefixes.unwrap().iter().map(|p| p.to_vec()).collect();
        assert_eq!(names, [&b"bar"[..], b"foo", b"x"]);
        let error = broadcast(&["foobar"]).follow(&first).unwrap_err().to_string();
        assert_eq!(
            error,
            "ERR Prefix 'foobar' overlaps with an existing prefix 'foo'. Prefixes for a single client must not overlap."
        );
        assert!(broadcast(&["f"]).follow(&first).is_err());
        assert!(check_overlaps(&[b"ab"[..].into(), b"c"[..].into(), b"abc"[..].into()]).is_err());
    }

    #[test]
    fn modes_do_not_change_while_tracking_is_on() {
        let (opt_in, opt_out) = (
            Settings { opt_in: true, ..Settings::default() },
            Settings { opt_out: true, ..Settings::default() },
        );
        assert!(opt_in.clone().follow(&opt_out).is_err());
        assert!(opt_in.clone().follow(&opt_in).is_ok());
        assert!(broadcast(&["a"]).follow(&opt_in).is_err());
        assert!(Settings { opt_in: true, ..broadcast(&["a"]) }.check().is_err());
    }
}
