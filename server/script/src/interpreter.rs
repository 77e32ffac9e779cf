//! The interpreter as its driver sees it: a job goes in, questions come out, and in the end a result.
//!
//! Invariant: one job at a time. Between [`Interpreter::start`] and its [`Step::Done`] only [`Interpreter::answer`] is called.

use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult};
use ringstone_engine::{ArgBuf, Error, Tree};

use crate::functions::FunctionRow;
use crate::machine;

/// The C stack of a script; only what is touched takes memory.
const STACK_BYTES: usize = 16 << 20;

/// What an interpreter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EVAL.
    Scripts,
    /// FCALL.
    Functions,
}

/// The words of a command that runs something: keys from `first` on, then arguments.
pub struct Words {
    /// All words.
    pub words: ArgBuf,
    /// The first key.
    pub first: usize,
    /// How many keys there are.
    pub keys: usize,
}

/// What is to be run.
pub enum Code {
    /// The script of this digest, which was compiled before.
    Script(String),
    /// A function of a library, both by name.
    Function {
        /// The library.
        library: String,
        /// The function.
        function: String,
    },
}

impl Code {
    pub(crate) fn name(&self) -> &str {
        match self {
            Code::Script(name) => name,
            Code::Function { function, .. } => function,
        }
    }
}

/// A job.
pub enum Job {
    /// Compiles a script under its digest.
    Compile {
        /// The digest.
        name: String,
        /// The code.
        code: Vec<u8>,
    },
    /// Loads a library in place of one of the same name.
    Load {
        /// Its name.
        name: String,
        /// Its code without the first line.
        code: Vec<u8>,
    },
    /// Forgets a library.
    Forget(String),
    /// Runs something.
    Run(Code, Words),
}

/// What a script asks for.
pub enum Ask {
    /// Runs a command.
    Call {
        /// Its words.
        words: ArgBuf,
        /// Form of the reply.
        resp3: bool,
    },
    /// Whether the user may run a command.
    MayCall(ArgBuf),
    /// Writes to the server's log.
    Log {
        /// 0 debug, 1 verbose, 2 notice, 3 warning.
        level: u8,
        /// The line.
        text: Vec<u8>,
    },
    /// Whether its writes are logged from now on.
    SetReplication {
        /// Into the log.
        log: bool,
    },
    /// It has run for a while.
    Tick,
}

/// The answer.
pub enum Answer {
    /// A command's reply.
    Reply(Tree),
    /// A command was not run; why, with a code behind a `-` or without one.
    Refused(String),
    /// Whether the user may run it.
    Allowed(bool),
    /// Go on.
    Nothing,
    /// End with this error.
    Stop(&'static str),
}

/// How a job ended.
#[derive(Debug)]
pub enum Done {
    /// It returned.
    Reply(Tree),
    /// It failed.
    Failed(Error),
    /// It was compiled, or forgotten.
    Ready,
    /// A library was loaded: its functions.
    Loaded(Vec<FunctionRow>),
    /// It was not compiled or loaded; why.
    Broken(String),
}

/// What comes of a turn.
pub enum Step {
    /// It asks, and waits for [`Interpreter::answer`].
    Ask(Ask),
    /// The job is done; bytes that the interpreter's values take.
    Done(Done, usize),
}

/// What goes into the fiber.
pub(crate) enum Input {
    Job(Job),
    Answer(Answer),
    Stop,
}

type Fiber = Coroutine<Input, Step, (), DefaultStack>;

/// An interpreter.
pub struct Interpreter {
    fiber: Option<Fiber>,
    /// It has had a job.
    started: bool,
    /// It has none under way.
    idle: bool,
}

impl Interpreter {
    /// A fresh one. Nothing but address space is taken before its first job.
    pub fn new(kind: Kind) -> std::io::Result<Interpreter> {
        let stack = DefaultStack::new(STACK_BYTES)?;
        let limit = stack.limit().get();
        let fiber = Coroutine::with_stack(stack, move |yielder, first| {
            machine::serve(yielder, first, kind, limit);
        });
        Ok(Interpreter { fiber: Some(fiber), started: false, idle: true })
    }

    /// Starts a job.
    pub fn start(&mut self, job: Job) -> Step {
        self.started = true;
        self.turn(Input::Job(job))
    }

    /// Answers what was asked.
    pub fn answer(&mut self, answer: Answer) -> Step {
        self.turn(Input::Answer(answer))
    }

    fn turn(&mut self, input: Input) -> Step {
        let ended = || Step::Done(Done::Broken("the interpreter has ended".to_owned()), 0);
        let step = match &mut self.fiber {
            Some(fiber) if !fiber.done() => match fiber.resume(input) {
                CoroutineResult::Yield(step) => step,
                CoroutineResult::Return(()) => ended(),
            },
            _ => ended(),
        };
        self.idle = matches!(step, Step::Done(..));
        step
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        if self.started && self.idle {
            self.turn(Input::Stop);
        }
        if let Some(fiber) = self.fiber.take()
            && fiber.started()
            && !fiber.done()
        {
            // In the midst of a script its stack holds frames of C, which cannot be unwound: it stays as it is.
            Box::leak(Box::new(fiber));
        }
    }
}
