//! Commands that act on the connection, the process or all shards: rows like the engine's, with another `run`.
//!
//! A command is one file or shares one with its close relatives; its family's list below names it.

pub mod acl;
pub mod client;
pub mod cluster;
pub mod command;
pub mod config;
pub mod connection;
pub mod debug;
pub mod info;
pub mod latency;
pub mod lolwut;
pub mod memory;
pub mod migrate;
pub mod module;
pub mod monitor;
pub mod pubsub;
pub mod replication;
pub mod save;
pub mod script;
pub mod shutdown;
pub mod slowlog;
pub mod transaction;

use std::future::Future;
use std::pin::Pin;

use ringstone_engine::cmd::Spec;
use ringstone_engine::error::word;
use ringstone_engine::{ArgBuf, Args, Error, Tree};

use crate::conn::Conn;
use crate::flow::execute::RespReply;
use crate::shard::{Shard, ShardRef};
use crate::table::Entry;

/// What a host command works with.
pub struct Host<'a> {
    /// The connection's shard.
    pub shard: &'a mut Shard,
    /// The connection.
    pub conn: &'a mut Conn,
}

impl Host<'_> {
    /// Where the reply goes.
    pub fn reply(&mut self) -> RespReply<'_> {
        let resp3 = self.conn.resp3;
        RespReply::new(self.conn.reply_buffer(), resp3)
    }
    /// Replies `+OK`.
    pub fn ok(&mut self) -> Result<Outcome, Error> {
        ringstone_engine::Reply::ok(&mut self.reply());
        Ok(Outcome::Done)
    }
    /// The connection waits for `task`, whose result is the reply.
    pub fn later<F: Future<Output = Tree> + 'static>(
        &mut self,
        task: impl FnOnce(ShardRef) -> F,
    ) -> Result<Outcome, Error> {
        let me = self.shard.me().ok_or(Error::text("ERR the server is shutting down"))?;
        Ok(Outcome::Later(Box::pin(task(me))))
    }
}

/// How a host command ended.
pub enum Outcome {
    /// Its reply is written.
    Done,
    /// The same, and the reply is an error that is counted already.
    Failed,
    /// Its reply comes from this task.
    Later(Pin<Box<dyn Future<Output = Tree>>>),
    /// It has no reply.
    Silent,
    /// A task of its own goes on with it, which counts the call when it has ended.
    Aside,
}

/// A host command's code.
pub type Run = fn(&mut Host<'_>, Args<'_>) -> Result<Outcome, Error>;

/// A host command.
pub struct HostCommand {
    /// The row.
    pub spec: Spec,
    /// The code; a container's answers when there is no subcommand.
    pub run: Run,
    /// Subcommands.
    pub subs: &'static [&'static HostCommand],
}

/// All host commands, by family.
const FAMILIES: &[&[&HostCommand]] = &[
    acl::COMMANDS,
    connection::COMMANDS,
    client::COMMANDS,
    cluster::COMMANDS,
    command::COMMANDS,
    config::COMMANDS,
    debug::COMMANDS,
    info::COMMANDS,
    latency::COMMANDS,
    lolwut::COMMANDS,
    memory::COMMANDS,
    migrate::COMMANDS,
    monitor::COMMANDS,
    replication::COMMANDS,
    module::COMMANDS,
    pubsub::COMMANDS,
    save::COMMANDS,
    script::COMMANDS,
    shutdown::COMMANDS,
    slowlog::COMMANDS,
    transaction::COMMANDS,
];

/// All host commands, subcommands not listed.
pub fn all() -> impl Iterator<Item = &'static HostCommand> {
    FAMILIES.iter().flat_map(|family| family.iter().copied())
}

/// A container's own `run`: it was called without a subcommand.
pub fn container(_: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity(word(args.at(0)).to_ascii_lowercase().into()))
}

/// The error of a subcommand that is not there, or not with so many arguments.
pub fn wrong_subcommand(container: &str, name: &[u8]) -> Error {
    let name = word(name.get(..128).unwrap_or(name));
    Error::owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP."
    ))
}

/// The lines of a HELP subcommand.
pub fn help(host: &mut Host<'_>, name: &str, lines: &[&str]) -> Result<Outcome, Error> {
    use ringstone_engine::Reply;
    let mut reply = host.reply();
    reply.array(lines.len() + 3);
    reply.simple(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    lines.iter().for_each(|line| reply.simple(line));
    reply.simple("HELP");
    reply.simple("    Prints this help.");
    Ok(Outcome::Done)
}

/// Roughly the length of a reply in the protocol, without what frames its parts.
pub(crate) fn reply_bytes(reply: &Tree) -> usize {
    match reply {
        Tree::Simple(text) | Tree::BigNumber(text) => text.len(),
        Tree::Bulk(bytes) | Tree::Verbatim(_, bytes) => bytes.len(),
        Tree::Array(items) | Tree::Map(items) | Tree::Set(items) | Tree::Push(items) => {
            items.iter().map(reply_bytes).sum()
        }
        Tree::Error(_)
        | Tree::Int(_)
        | Tree::Null
        | Tree::NullArray
        | Tree::Double(_)
        | Tree::Bool(_) => 8,
    }
}

impl Shard {
    /// Runs a host command.
    pub(crate) fn run_host(
        &mut self,
        conn: &mut Conn,
        entry: &'static Entry,
        run: Run,
        args: Args<'_>,
    ) {
        let (mark, began) = (conn.reply_mark(), self.measure.began());
        let outcome = run(&mut Host { shard: self, conn }, args);
        self.say();
        match outcome {
            Ok(outcome @ (Outcome::Done | Outcome::Failed)) => {
                self.note_call_since(entry, began, None);
                if matches!(outcome, Outcome::Failed) {
                    self.measure.calls.note_end(entry, 0, true);
                }
                let reply_bytes = conn.reply_mark() - mark;
                self.remember(conn, entry, args, reply_bytes);
                self.after_reply(conn, mark);
            }
            Ok(Outcome::Aside) => {}
            Ok(Outcome::Silent) => {
                self.note_call_since(entry, began, None);
                self.remember(conn, entry, args, 0);
            }
            Ok(Outcome::Later(task)) => {
                let Some(me) = self.me() else { return };
                conn.blocked = true;
                let (id, args) = (conn.id, ArgBuf::from(args));
                self.queues.spawn(async move {
                    let reply = task.await;
                    let mut this = me.borrow_mut();
                    this.note_call_since(entry, began, reply.as_error());
                    this.remember_of(id, entry, args.as_args(), reply_bytes(&reply));
                    this.finish(id, &reply, 0);
                });
            }
            Err(error) => {
                conn.reply_buffer().truncate(mark);
                self.note_call_since(entry, began, Some(&error));
                self.remember(conn, entry, args, 0);
                self.write_error(conn, &error);
            }
        }
    }
}
