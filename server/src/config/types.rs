//! Types of parameters that are more than a number or a word.

use super::kind::{BadValue, Kind, Setting, parse_memory, quote};
use ringstone_engine::keyspace::Classes;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$wdoc:meta])* $first:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $($(#[$wdoc])* $first,)+ }

        impl $name {
            /// The words, in the order in which Redis lists them.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self { $($name::$first => $word,)+ }
            }
        }

        impl Setting for $name {
            fn set(&mut self, _: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
                if let [word] = words {
                    $(if word.eq_ignore_ascii_case($word.as_bytes()) {
                        *self = $name::$first;
                        return Ok(());
                    })+
                }
                let all = $name::WORDS.join(", ");
                Err(BadValue(format!("argument(s) must be one of the following: {all}")))
            }

            fn text(&self, _: Kind) -> Vec<u8> {
                self.word().as_bytes().to_vec()
            }
        }
    )+};
}

words! {
    /// When the log is forced to disk.
    Fsync {
        /// Once a second.
        #[default]
        EverySecond = "everysec",
        /// Before a write is acknowledged.
        Always = "always",
        /// When the kernel likes.
        No = "no",
    }
    /// How much is written to the server's log.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// Much, but not everything.
        Verbose = "verbose",
        /// What an operator wants to know.
        #[default]
        Notice = "notice",
        /// What an operator must know.
        Warning = "warning",
    }
    /// What users and selectors that are just made may do with channels.
    NewChannels {
        /// All of them.
        All = "allchannels",
        /// None.
        #[default]
        None = "resetchannels",
    }
    /// Which keys go when `maxmemory` is used up.
    EvictionPolicy {
        /// Of those that expire, the one used the longest time ago.
        VolatileLru = "volatile-lru",
        /// Of those that expire, the one used least.
        VolatileLfu = "volatile-lfu",
        /// Of those that expire, any.
        VolatileRandom = "volatile-random",
        /// The one that expires first.
        VolatileTtl = "volatile-ttl",
        /// The one used the longest time ago.
        AllkeysLru = "allkeys-lru",
        /// The one used least.
        AllkeysLfu = "allkeys-lfu",
        /// Any.
        AllkeysRandom = "allkeys-random",
        /// None: commands that need memory are refused.
        #[default]
        NoEviction = "noeviction",
    }
    /// Who may use a dangerous command.
    Access {
        /// Nobody.
        #[default]
        No = "no",
        /// Everybody.
        Yes = "yes",
        /// Clients of this host: loopback or Unix socket.
        Local = "local",
    }
}

impl Access {
    /// Whether a client may.
    pub fn allows(self, client_is_local: bool) -> bool {
        match self {
            Access::No => false,
            Access::Yes => true,
            Access::Local => client_is_local,
        }
    }
}

/// How much memory connections may use: bytes, or a part of `maxmemory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMemory {
    /// So many bytes; 0 = no limit.
    Bytes(u64),
    /// So many hundredths of `maxmemory`.
    Percent(u64),
}

impl Default for ClientMemory {
    fn default() -> Self {
        ClientMemory::Bytes(0)
    }
}

/// A smaller limit of clients' memory would leave no client that could raise it.
const CLIENT_MEMORY_MIN_BYTES: u64 = 128 << 10;

impl ClientMemory {
    /// The limit in bytes, if there is one.
    pub fn limit(self, maxmemory: u64) -> Option<u64> {
        let bytes = match self {
            ClientMemory::Bytes(0) => return None,
            ClientMemory::Percent(_) if maxmemory == 0 => return None,
            ClientMemory::Percent(0) => return None,
            ClientMemory::Bytes(bytes) => bytes,
            ClientMemory::Percent(percent) => {
                u64::try_from(u128::from(maxmemory) * u128::from(percent) / 100).unwrap_or(u64::MAX)
            }
        };
        Some(bytes.max(CLIENT_MEMORY_MIN_BYTES))
    }
}

impl Setting for ClientMemory {
    fn set(&mut self, _: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
        let [word] = words else { return Err(BadValue::new("wrong number of arguments")) };
        let percent = word.strip_suffix(b"%").and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            digits.parse::<u64>().ok().filter(|value| value.to_string() == digits)
        });
        *self = match (parse_memory(word), percent) {
            (Some(bytes), _) if i64::try_from(bytes).is_err() => {
                let text = format!("argument must be between 0 and {} inclusive", i64::MAX);
                return Err(BadValue(text));
            }
            (Some(bytes), _) => ClientMemory::Bytes(bytes),
            (None, Some(percent @ 0..=100)) => ClientMemory::Percent(percent),
            (None, Some(_)) => {
                return Err(BadValue::new("percentage argument must be less or equal to 100"));
            }
            (None, None) => {
                return Err(BadValue::new("argument must be a memory or percent value"));
            }
        };
        Ok(())
    }

    fn text(&self, _: Kind) -> Vec<u8> {
        match self {
            ClientMemory::Bytes(bytes) => bytes.to_string().into_bytes(),
            ClientMemory::Percent(0) => b"0".to_vec(),
            ClientMemory::Percent(percent) => format!("{percent}%").into_bytes(),
        }
    }
}

/// A password: bytes that stay out of debug output.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The password, if there is one. It is compared through its hash only, as users' passwords are.
    pub fn get(&self) -> Option<&[u8]> {
        Some(&*self.0).filter(|password| !password.is_empty())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.is_empty() { "Secret(none)" } else { "Secret(...)" })
    }
}

impl Setting for Secret {
    fn set(&mut self, _: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
        let [word] = words else { return Err(BadValue::new("wrong number of arguments")) };
        self.0.clone_from(word);
        Ok(())
    }

    fn text(&self, _: Kind) -> Vec<u8> {
        self.0.clone()
    }
}

/// Addresses to listen on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bind(Vec<String>);

/// One socket address of [`Bind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// Where to listen.
    pub addr: SocketAddr,
    /// Go on without it when the host does not have the address.
    pub optional: bool,
}

impl Bind {
    const ADDRESSES_MAX: usize = 16;

    /// True when the server shall not listen on TCP.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when only addresses of this host's loopback are listened on.
    pub fn is_loopback_only(&self) -> bool {
        self.0.iter().all(|word| {
            let host = word.strip_prefix('-').unwrap_or(word);
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// The socket addresses, host names resolved.
    ///
    /// # Errors
    /// A name that is not optional does not resolve; the text names it.
    pub fn resolve(&self, port: u16) -> Result<Vec<BindAddress>, String> {
        let mut out: Vec<BindAddress> = Vec::new();
        for word in &self.0 {
            let (host, optional) = match word.strip_prefix('-') {
                Some(host) => (host, true),
                None => (word.as_str(), false),
            };
            let found: Vec<SocketAddr> = match host {
                "*" => vec![(Ipv4Addr::UNSPECIFIED, port).into()],
                "::*" => vec![(Ipv6Addr::UNSPECIFIED, port).into()],
                host => match (host, port).to_socket_addrs() {
                    Ok(found) => found.collect(),
                    Err(_) if optional => Vec::new(),
                    Err(e) => return Err(format!("bind: cannot resolve '{host}': {e}")),
                },
            };
            for addr in found {
                if !out.iter().any(|known| known.addr == addr) {
                    out.push(BindAddress { addr, optional });
                }
            }
        }
        Ok(out)
    }
}

impl Setting for Bind {
    fn set(&mut self, _: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
        if words.len() > Bind::ADDRESSES_MAX {
            return Err(BadValue::new("Too many bind addresses specified."));
        }
        let mut addresses = Vec::new();
        for word in words {
            let word = std::str::from_utf8(word).unwrap_or("");
            let host = word.strip_prefix('-').unwrap_or(word);
            let is_name =
                |h: &str| h.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b));
            if words.len() > 1 && host.is_empty() || !(is_name(host) || matches!(host, "*" | "::*"))
            {
                return Err(BadValue(format!("Invalid bind address '{word}'")));
            }
            addresses.extend((!host.is_empty()).then(|| word.to_owned()));
        }
        self.0 = addresses;
        Ok(())
    }

    fn text(&self, _: Kind) -> Vec<u8> {
        self.0.join(" ").into_bytes()
    }

    fn lines(&self, kind: Kind) -> Vec<Vec<u8>> {
        if self.0.is_empty() { vec![quote(b"")] } else { vec![self.text(kind)] }
    }
}

/// When a snapshot is made by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// So many seconds after the last one ...
    pub seconds: u64,
    /// ... if there were at least so many changes.
    pub changes: u64,
}

impl super::Config {
    /// The directory of the log.
    pub fn log_dir(&self) -> std::path::PathBuf {
        self.dir.join(&self.appenddirname)
    }

    /// Whether writes are refused while the last snapshot failed: only where the server makes snapshots by itself.
    pub fn stops_on_save_error(&self) -> bool {
        self.stop_writes_on_bgsave_error && !self.save.is_empty()
    }
}

impl Setting for Vec<SavePoint> {
    fn set(&mut self, _: Kind, words: &[Vec<u8>], append: bool) -> Result<(), BadValue> {
        if let [word] = words
            && word.is_empty()
        {
            self.clear();
            return Ok(());
        }
        let (pairs, rest) = words.as_chunks::<2>();
        let number = |word: &Vec<u8>, min: i64| {
            let value: i64 = std::str::from_utf8(word).ok()?.parse().ok()?;
            u64::try_from(value).ok().filter(|_| value >= min)
        };
        let points: Option<Vec<SavePoint>> = pairs
            .iter()
            .map(|[s, c]| Some(SavePoint { seconds: number(s, 1)?, changes: number(c, 0)? }))
            .collect();
        let Some(points) = points.filter(|_| rest.is_empty()) else {
            return Err(BadValue::new("Invalid save parameters"));
        };
        if !append {
            self.clear();
        }
        self.extend(points);
        Ok(())
    }

    fn text(&self, _: Kind) -> Vec<u8> {
        let pairs: Vec<String> =
            self.iter().map(|p| format!("{} {}", p.seconds, p.changes)).collect();
        pairs.join(" ").into_bytes()
    }

    fn lines(&self, _: Kind) -> Vec<Vec<u8>> {
        if self.is_empty() {
            return vec![quote(b"")];
        }
        self.iter().map(|p| format!("{} {}", p.seconds, p.changes).into_bytes()).collect()
    }
}

/// Percentiles, in percent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Percentiles(pub Vec<f64>);

impl Setting for Percentiles {
    fn set(&mut self, _: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
        let mut values = Vec::new();
        if words.len() != 1 || words.iter().any(|word| !word.is_empty()) {
            for word in words {
                let value: Option<f64> =
                    std::str::from_utf8(word).ok().and_then(|text| text.parse().ok());
                let value = value.filter(|value: &f64| !value.is_nan()).ok_or_else(|| {
                    BadValue::new("Invalid latency-tracking-info-percentiles parameters")
                })?;
                if !(0.0..=100.0).contains(&value) {
                    return Err(BadValue::new(
                        "latency-tracking-info-percentiles should contain values between 0.0 and 100.0",
                    ));
                }
                values.push(value);
            }
        }
        self.0 = values;
        Ok(())
    }

    fn text(&self, _: Kind) -> Vec<u8> {
        let words: Vec<String> = self.0.iter().map(f64::to_string).collect();
        words.join(" ").into_bytes()
    }

    fn lines(&self, kind: Kind) -> Vec<Vec<u8>> {
        vec![if self.0.is_empty() { quote(b"") } else { self.text(kind) }]
    }
}

impl Setting for Classes {
    fn set(&mut self, _: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
        let [word] = words else { return Err(BadValue::new("wrong number of arguments")) };
        *self = Classes::parse(word).ok_or_else(|| {
            BadValue::new("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        })?;
        Ok(())
    }

    fn text(&self, _: Kind) -> Vec<u8> {
        self.letters().into_bytes()
    }

    fn lines(&self, _: Kind) -> Vec<Vec<u8>> {
        // CONFIG GET shows no `n` beside `A`; a file must not lose it.
        let unsaid = self.contains(Classes::ALL | Classes::NEW);
        vec![quote((self.letters() + if unsaid { "n" } else { "" }).as_bytes())]
    }
}

/// How much output may wait for a client before it is disconnected; 0 = no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Disconnect at once above this.
    pub hard_bytes: u64,
    /// Disconnect when above this ...
    pub soft_bytes: u64,
    /// ... for so long without a break.
    pub soft_seconds: u64,
}

/// [`OutputLimit`] per class of client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients, MONITOR included.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Subscribers of a channel or pattern.
    pub pubsub: OutputLimit,
}

impl OutputLimits {
    fn classes(&self) -> [(&'static str, OutputLimit); 3] {
        [("normal", self.normal), ("slave", self.replica), ("pubsub", self.pubsub)]
    }
}

impl Setting for OutputLimits {
    fn set(&mut self, _: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
        let (groups, rest) = words.as_chunks::<4>();
        if !rest.is_empty() {
            let text = "Wrong number of arguments in buffer limit configuration.";
            return Err(BadValue::new(text));
        }
        let mut limits = *self;
        for [class, hard, soft, seconds] in groups {
            let seconds = || std::str::from_utf8(seconds).ok()?.parse::<u64>().ok();
            let class = match class.to_ascii_lowercase().as_slice() {
                b"normal" => &mut limits.normal,
                b"slave" | b"replica" => &mut limits.replica,
                b"pubsub" => &mut limits.pubsub,
                _ => {
                    let text = "Invalid client class specified in buffer limit configuration.";
                    return Err(BadValue::new(text));
                }
            };
            let limit = || {
                Some(OutputLimit {
                    hard_bytes: parse_memory(hard)?,
                    soft_bytes: parse_memory(soft)?,
                    soft_seconds: seconds().filter(|s| i64::try_from(*s).is_ok())?,
                })
            };
            *class = limit().ok_or_else(|| {
                let text =
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
                BadValue::new(text)
            })?;
        }
        *self = limits;
        Ok(())
    }

    fn text(&self, kind: Kind) -> Vec<u8> {
        self.lines(kind).join(&b' ')
    }

    fn lines(&self, _: Kind) -> Vec<Vec<u8>> {
        let line = |(class, l): (&str, OutputLimit)| {
            format!("{class} {} {} {}", l.hard_bytes, l.soft_bytes, l.soft_seconds).into_bytes()
        };
        self.classes().map(line).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<u8>> {
        text.split(' ').map(|w| w.as_bytes().to_vec()).collect()
    }

    #[test]
    fn addresses_resolve_and_optional_ones_are_marked() {
        let mut bind = Bind::default();
        bind.set(Kind::Addresses, &words("127.0.0.1 -::1 * -::*"), false).unwrap();
        let found = bind.resolve(7).unwrap();
        let expected =
            [("127.0.0.1:7", false), ("[::1]:7", true), ("0.0.0.0:7", false), ("[::]:7", true)]
                .map(|(addr, optional)| BindAddress { addr: addr.parse().unwrap(), optional });
        assert_eq!(found, expected);
        assert!(!bind.is_loopback_only());
        bind.set(Kind::Addresses, &words(""), false).unwrap();
        assert!(bind.is_empty());
        assert!(bind.set(Kind::Addresses, &words("a/b"), false).is_err());
        assert!(bind.set(Kind::Addresses, &vec![b"a".to_vec(); 17], false).is_err());
    }

    #[test]
    fn passwords_stay_out_of_debug_output() {
        let mut secret = Secret::default();
        secret.set(Kind::Secret, &[b"hunter2".to_vec()], false).unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.get(), Some(&b"hunter2"[..]));
        assert_eq!(Secret::default().get(), None);
    }

    #[test]
    fn output_limits_change_only_the_classes_named() {
        let mut limits = OutputLimits::default();
        limits.set(Kind::OutputLimits, &words("normal 1mb 2 3 REPLICA 4 5 6"), false).unwrap();
        limits.set(Kind::OutputLimits, &words("pubsub 7 8 9"), false).unwrap();
        let text = limits.text(Kind::OutputLimits);
        assert_eq!(text, b"normal 1048576 2 3 slave 4 5 6 pubsub 7 8 9");
        assert!(
            limits.set(Kind::OutputLimits, &words("normal 0 0 0 pubsub 0 0 x"), false).is_err()
        );
        assert_eq!(limits.text(Kind::OutputLimits), text, "a refused value changes nothing");
    }
}
