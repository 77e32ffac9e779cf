//! The few functions that have to be C functions of Lua: they raise errors as plain Lua values, which mlua cannot, they look at the
//! frames of their callers, and they bound what Lua 5.1 itself leaves unbounded.
//!
//! Invariant: the only `unsafe` of the crate. A function here owns nothing that has to be dropped while it may raise, since
//! an error of Lua jumps over its frame; and it stays within the 20 slots that Lua guarantees beyond the arguments.

#![expect(unsafe_code, reason = "Lua's C interface; every function upholds the invariant above")]
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason for all of them: Lua calls each function with its own valid state, and indices stay in the frame"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of Lua that were made here from integers, or that saturate"
)]

use std::ffi::{CStr, c_char, c_int};

use mlua::ffi::{self, lua_CFunction, lua_State};
use mlua::{Function, IntoLuaMulti, Lua, Result, Value};

/// Repetitions in one pattern; each may take a frame of the C stack.
const REPETITIONS_MAX: usize = 1000;
/// Arguments of a call that stay where they are.
const ARGUMENTS_MAX: c_int = 4000;
/// Bytes of the C stack that a coroutine must find free to be resumed.
const RESUME_ROOM: usize = 4 << 20;
/// Values that a function may return, as Lua's own stack has it.
const RESULTS_MAX: i64 = 8000;
/// Bytes that `string.rep` may make.
const REP_BYTES_MAX: u64 = 1 << 30;

/// Makes a C function with upvalues.
fn closure(
    lua: &Lua,
    upvalues: impl IntoLuaMulti,
    count: c_int,
    function: lua_CFunction,
) -> Result<Function> {
    unsafe { lua.exec_raw(upvalues, |state| ffi::lua_pushcclosure(state, function, count)) }
}

/// A function that calls `inner`, which answers `true` and results, `false` and an error to raise (a string gets the caller's
/// position in front), nil and an error to raise as it is, or the number of an argument and what is wrong with it.
pub(crate) fn raising(lua: &Lua, inner: Function) -> Result<Function> {
    closure(lua, inner, 1, raise_or_return)
}

/// The same for an `inner` that may be given more arguments than Lua's stack has room for beside others: they come in a table
/// then, behind a mark ([`is_pack`]).
pub(crate) fn raising_many(lua: &Lua, inner: Function) -> Result<Function> {
    closure(lua, inner, 1, pack_and_raise)
}

/// Whether this stands in front of a table and the number of values in it, instead of the values.
pub(crate) fn is_pack(value: &Value) -> bool {
    matches!(value, Value::LightUserData(at) if at.0.cast_const() == PACK.0.as_ptr().cast())
}

/// Its address is known to nobody else, scripts least of all.
static PACK: Pack = Pack([0]);
struct Pack([u8; 1]);

unsafe extern "C-unwind" fn pack_and_raise(state: *mut lua_State) -> c_int {
    unsafe {
        let count = ffi::lua_gettop(state);
        if count > ARGUMENTS_MAX {
            ffi::lua_createtable(state, count, 0);
            ffi::lua_insert(state, 1);
            for at in (1..=count).rev() {
                ffi::lua_rawseti(state, 1, at.into());
            }
            ffi::lua_pushlightuserdata(state, PACK.0.as_ptr().cast_mut().cast());
            ffi::lua_insert(state, 1);
            ffi::lua_pushinteger(state, count.into());
        }
        raise_or_return(state)
    }
}

unsafe extern "C-unwind" fn raise_or_return(state: *mut lua_State) -> c_int {
    unsafe {
        let count = ffi::lua_gettop(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 1);
        ffi::lua_call(state, count, ffi::LUA_MULTRET);
        match ffi::lua_type(state, 1) {
            ffi::LUA_TNUMBER => {
                let argument = ffi::lua_tonumber(state, 1) as c_int;
                ffi::luaL_argerror(state, argument, ffi::lua_tostring(state, 2))
            }
            _ if ffi::lua_toboolean(state, 1) != 0 => ffi::lua_gettop(state) - 1,
            ffi::LUA_TNIL => {
                ffi::lua_settop(state, 2);
                ffi::lua_error(state)
            }
            _ => {
                ffi::lua_settop(state, 2);
                raise_here(state)
            }
        }
    }
}

/// Raises the value at the top; a string gets the caller's position in front.
unsafe fn raise_here(state: *mut lua_State) -> c_int {
    unsafe {
        if ffi::lua_type(state, -1) == ffi::LUA_TSTRING {
            ffi::luaL_where(state, 1);
            ffi::lua_insert(state, -2);
            ffi::lua_concat(state, 2);
        }
        ffi::lua_error(state)
    }
}

unsafe fn raise_text(state: *mut lua_State, text: &CStr) -> c_int {
    unsafe {
        ffi::lua_pushstring(state, text.as_ptr());
        raise_here(state)
    }
}

/// Redis's `pcall`: of an error table with a text in `err`, the text is what is returned.
pub(crate) fn pcall(lua: &Lua) -> Result<Function> {
    closure(lua, (), 0, protected_call)
}

unsafe extern "C-unwind" fn protected_call(state: *mut lua_State) -> c_int {
    unsafe {
        let count = ffi::lua_gettop(state);
        if count == 0 {
            ffi::lua_pushnil(state);
            return 1;
        }
        ffi::lua_pushboolean(state, 1);
        ffi::lua_insert(state, 1);
        if ffi::lua_pcall(state, count - 1, ffi::LUA_MULTRET, 0) != ffi::LUA_OK {
            ffi::lua_remove(state, 1);
            if ffi::lua_type(state, -1) == ffi::LUA_TTABLE {
                ffi::lua_getfield(state, -1, c"err".as_ptr());
                if ffi::lua_isstring(state, -1) != 0 {
                    ffi::lua_replace(state, -2);
                }
            }
            ffi::lua_pushboolean(state, 0);
            ffi::lua_insert(state, 1);
        }
        ffi::lua_gettop(state)
    }
}

/// `run(function, arguments...)`: calls in protection; true and the result, or false and an error table with its source and line.
pub(crate) fn runner(lua: &Lua, tostring: Function) -> Result<Function> {
    let handler = closure(lua, tostring, 1, on_error)?;
    closure(lua, handler, 1, run)
}

unsafe extern "C-unwind" fn run(state: *mut lua_State) -> c_int {
    unsafe {
        let count = ffi::lua_gettop(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 1);
        let status = ffi::lua_pcall(state, count - 1, 1, 1);
        ffi::lua_pushboolean(state, c_int::from(status == ffi::LUA_OK));
        ffi::lua_insert(state, -2);
        2
    }
}

/// The error's table gets the place of the error; where a C function raised it, that of its caller.
unsafe extern "C-unwind" fn on_error(state: *mut lua_State) -> c_int {
    unsafe {
        if ffi::lua_type(state, 1) != ffi::LUA_TTABLE {
            ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
            ffi::lua_pushvalue(state, 1);
            ffi::lua_call(state, 1, 1);
            ffi::lua_createtable(state, 0, 3);
            ffi::lua_pushstring(state, c"ERR ".as_ptr());
            ffi::lua_pushvalue(state, -3);
            ffi::lua_concat(state, 2);
            ffi::lua_setfield(state, -2, c"err".as_ptr());
        }
        let mut place: ffi::lua_Debug = std::mem::zeroed();
        if frame(state, 1, &mut place) {
            let is_c = CStr::from_ptr(place.what) == c"C";
            if !is_c || frame(state, 2, &mut place) {
                ffi::lua_pushstring(state, place.source);
                ffi::lua_setfield(state, -2, c"source".as_ptr());
                ffi::lua_pushnumber(state, f64::from(place.currentline));
                ffi::lua_setfield(state, -2, c"line".as_ptr());
            }
        }
        1
    }
}

unsafe fn frame(state: *mut lua_State, level: c_int, place: &mut ffi::lua_Debug) -> bool {
    unsafe {
        ffi::lua_getstack(state, level, place) != 0
            && ffi::lua_getinfo(state, c"nSl".as_ptr(), place) != 0
    }
}

/// Raised by a write to a table that must not be changed.
const READONLY: &CStr = c"Attempt to modify a readonly table";

/// `__newindex` of a table that must not be changed.
pub(crate) fn refusing_write(lua: &Lua) -> Result<Function> {
    closure(lua, (), 0, refuse_write)
}

unsafe extern "C-unwind" fn refuse_write(state: *mut lua_State) -> c_int {
    unsafe { raise_text(state, READONLY) }
}

/// `__index` of the globals: there is no such variable.
pub(crate) fn refusing_read(lua: &Lua) -> Result<Function> {
    closure(lua, (), 0, refuse_read)
}

unsafe extern "C-unwind" fn refuse_read(state: *mut lua_State) -> c_int {
    unsafe {
        if ffi::lua_gettop(state) != 2 {
            return raise_text(state, c"Wrong number of arguments to luaProtectedTableError");
        }
        if ffi::lua_isstring(state, 2) == 0 {
            let text = c"Second argument to luaProtectedTableError must be a string or number";
            return raise_text(state, text);
        }
        let head = c"Script attempted to access nonexistent global variable '";
        ffi::lua_pushstring(state, head.as_ptr());
        ffi::lua_pushstring(state, ffi::lua_tostring(state, 2));
        ffi::lua_pushstring(state, c"'".as_ptr());
        ffi::lua_concat(state, 3);
        raise_here(state)
    }
}

/// Guards `original`, which changes the table that it is given first; `protected` maps the stand-ins of tables that must not be
/// changed to what they stand for.
pub(crate) fn writing(lua: &Lua, original: Function, protected: mlua::Table) -> Result<Function> {
    closure(lua, (original, protected), 2, write_guard)
}

unsafe extern "C-unwind" fn write_guard(state: *mut lua_State) -> c_int {
    unsafe {
        if is_stand_in(state) {
            ffi::lua_pushstring(state, READONLY.as_ptr());
            ffi::lua_error(state);
        }
        pass_on(state)
    }
}

/// Guards `original`, which reads the table that it is given first past any metatable.
pub(crate) fn reading(lua: &Lua, original: Function, protected: mlua::Table) -> Result<Function> {
    closure(lua, (original, protected), 2, read_guard)
}

unsafe extern "C-unwind" fn read_guard(state: *mut lua_State) -> c_int {
    unsafe {
        if is_stand_in(state) {
            ffi::lua_pushvalue(state, 1);
            ffi::lua_rawget(state, ffi::lua_upvalueindex(2));
            ffi::lua_replace(state, 1);
        }
        pass_on(state)
    }
}

unsafe fn is_stand_in(state: *mut lua_State) -> bool {
    unsafe {
        if ffi::lua_type(state, 1) != ffi::LUA_TTABLE {
            return false;
        }
        ffi::lua_pushvalue(state, 1);
        ffi::lua_rawget(state, ffi::lua_upvalueindex(2));
        let found = ffi::lua_type(state, -1) == ffi::LUA_TTABLE;
        ffi::lua_settop(state, -2);
        found
    }
}

/// Goes on in the C function that is upvalue 1, with the same frame, so that it sees the same arguments and caller.
unsafe fn pass_on(state: *mut lua_State) -> c_int {
    unsafe {
        match ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) {
            Some(original) => original(state),
            None => 0,
        }
    }
}

/// `pairs` of stand-ins gives the stand-in, so that what it stands for does not get out; `next` reads through it.
pub(crate) fn pairs(lua: &Lua, next: Function) -> Result<Function> {
    closure(lua, next, 1, pairs_guard)
}

unsafe extern "C-unwind" fn pairs_guard(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_pushvalue(state, 1);
        ffi::lua_pushnil(state);
        3
    }
}

/// Guards a function of the string library whose second argument is a pattern.
pub(crate) fn matching(lua: &Lua, original: Function) -> Result<Function> {
    closure(lua, original, 1, pattern_guard)
}

unsafe extern "C-unwind" fn pattern_guard(state: *mut lua_State) -> c_int {
    unsafe {
        if ffi::lua_type(state, 2) == ffi::LUA_TSTRING {
            let pattern = bytes(state, 2);
            if pattern.len() > REPETITIONS_MAX
                && pattern.iter().filter(|byte| b"?*+-".contains(byte)).count() > REPETITIONS_MAX
            {
                return raise_text(state, c"pattern too complex");
            }
        }
        pass_on(state)
    }
}

unsafe fn bytes<'a>(state: *mut lua_State, at: c_int) -> &'a [u8] {
    unsafe {
        let mut len = 0;
        let start: *const c_char = ffi::lua_tolstring(state, at, &mut len);
        if start.is_null() { &[] } else { std::slice::from_raw_parts(start.cast(), len) }
    }
}

/// `string.rep`, bounded.
pub(crate) fn rep(lua: &Lua, original: Function) -> Result<Function> {
    closure(lua, original, 1, rep_guard)
}

unsafe extern "C-unwind" fn rep_guard(state: *mut lua_State) -> c_int {
    unsafe {
        if ffi::lua_isstring(state, 1) != 0 && ffi::lua_isnumber(state, 2) != 0 {
            let len = bytes(state, 1).len() as u64;
            let times = ffi::lua_tonumber(state, 2).max(0.0) as u64;
            if len == 0 {
                ffi::lua_pushvalue(state, 1);
                return 1;
            }
            if len.saturating_mul(times) > REP_BYTES_MAX {
                return raise_text(state, c"resulting string too large");
            }
        }
        pass_on(state)
    }
}

/// `unpack`, whose own check of how many results there are overflows.
pub(crate) fn unpack(lua: &Lua, original: Function) -> Result<Function> {
    closure(lua, original, 1, unpack_guard)
}

unsafe extern "C-unwind" fn unpack_guard(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        let first = ffi::luaL_optinteger(state, 2, 1);
        let last = match ffi::lua_isnoneornil(state, 3) {
            0 => ffi::luaL_checkinteger(state, 3),
            _ => ffi::lua_objlen(state, 1) as i64,
        };
        let range = i64::from(i32::MIN) + 1..i64::from(i32::MAX);
        if first > last {
            return 0;
        }
        if last - first >= RESULTS_MAX || !range.contains(&first) || !range.contains(&last) {
            return raise_text(state, c"too many results to unpack");
        }
        pass_on(state)
    }
}

/// `loadstring`, which reads text only: compiled code could do anything.
pub(crate) fn loadstring(lua: &Lua, original: Function) -> Result<Function> {
    closure(lua, original, 1, loadstring_guard)
}

unsafe extern "C-unwind" fn loadstring_guard(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::lua_settop(state, 2);
        if ffi::lua_isstring(state, 1) != 0 && bytes(state, 1).first() == Some(&0x1b) {
            if ffi::lua_isstring(state, 2) == 0 {
                ffi::lua_pushvalue(state, 1);
                ffi::lua_replace(state, 2);
            }
            // Behind a blank it is text, whose first character no program may have.
            ffi::lua_pushstring(state, c" ".as_ptr());
            ffi::lua_pushvalue(state, 1);
            ffi::lua_concat(state, 2);
            ffi::lua_replace(state, 1);
        }
        if ffi::lua_isnoneornil(state, 2) != 0 {
            ffi::lua_settop(state, 1);
        }
        pass_on(state)
    }
}

/// `coroutine.resume`, which refuses when the C stack, whose lowest address is `limit`, has little room left.
pub(crate) fn resume(lua: &Lua, original: Function, limit: usize) -> Result<Function> {
    closure(lua, (original, limit as f64), 2, resume_guard)
}

unsafe extern "C-unwind" fn resume_guard(state: *mut lua_State) -> c_int {
    unsafe {
        if !has_room(state) {
            ffi::lua_pushboolean(state, 0);
            ffi::lua_pushstring(state, c"C stack overflow".as_ptr());
            return 2;
        }
        pass_on(state)
    }
}

unsafe fn has_room(state: *mut lua_State) -> bool {
    let here = 0u8;
    let limit = unsafe { ffi::lua_tonumber(state, ffi::lua_upvalueindex(2)) } as usize;
    (&raw const here).addr().saturating_sub(limit) > RESUME_ROOM
}

/// `coroutine.wrap`, made of `create` and the guarded `resume`.
pub(crate) fn wrap(lua: &Lua, create: Function, resume: Function) -> Result<Function> {
    closure(lua, (create, resume), 2, make_wrapped)
}

unsafe extern "C-unwind" fn make_wrapped(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TFUNCTION);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_pushvalue(state, 1);
        ffi::lua_call(state, 1, 1);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
        ffi::lua_pushcclosure(state, resume_wrapped, 2);
        1
    }
}

unsafe extern "C-unwind" fn resume_wrapped(state: *mut lua_State) -> c_int {
    unsafe {
        let count = ffi::lua_gettop(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
        ffi::lua_insert(state, 1);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 2);
        ffi::lua_call(state, count + 1, ffi::LUA_MULTRET);
        if ffi::lua_toboolean(state, 1) != 0 {
            return ffi::lua_gettop(state) - 1;
        }
        ffi::lua_settop(state, 2);
        raise_here(state)
    }
}
