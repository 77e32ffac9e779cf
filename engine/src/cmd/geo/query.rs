//! What a search is asked for.

use super::{point, unit_m};
use crate::args::Args;
use crate::cmd::numbers::integer;
use crate::error::{Error, word};
use crate::geo::{Extent, Point, Shape};
use crate::num::parse_f64;
use crate::types::ZSet;

/// The forms that a search's arguments have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// GEORADIUS: a point, a radius, then options.
    Around { stores: bool },
    /// GEORADIUSBYMEMBER: a member, a radius, then options.
    AroundMember { stores: bool },
    /// GEOSEARCH: options only.
    Search,
    /// GEOSEARCHSTORE: where to store, then as GEOSEARCH.
    SearchStore,
}

/// The order of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Any,
    Nearest,
    Farthest,
}

/// A search as asked for.
pub(super) struct Query<'a> {
    form: Form,
    center: Option<Point>,
    from_member: bool,
    from_point: bool,
    extent: Option<(Extent, f64)>,
    pub(super) with_distance: bool,
    pub(super) with_hash: bool,
    pub(super) with_place: bool,
    pub(super) order: Order,
    /// At most so many places; 0: all.
    pub(super) count: usize,
    /// Any `count` places will do.
    pub(super) any: bool,
    pub(super) store_at: Option<&'a [u8]>,
    /// What is stored as scores: distances, else places.
    pub(super) store_distances: bool,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }

    fn may_name_store(self) -> bool {
        matches!(self, Form::Around { stores: true } | Form::AroundMember { stores: true })
    }

    /// Where the key of the places stands.
    pub(super) fn source_at(self) -> usize {
        if self == Form::SearchStore { 2 } else { 1 }
    }
}

impl<'a> Query<'a> {
    /// Reads the arguments; without a set of places their syntax only is checked.
    pub(super) fn parse(
        args: Args<'a>,
        form: Form,
        set: Option<&ZSet>,
    ) -> Result<Query<'a>, Error> {
        let mut query = Query {
            form,
            center: None,
            from_member: false,
            from_point: false,
            extent: None,
            with_distance: false,
            with_hash: false,
            with_place: false,
            order: Order::Any,
            count: 0,
            any: false,
            store_at: (form == Form::SearchStore).then(|| args.at(1)),
            store_distances: false,
        };
        let mut at = query.positional(args, set)?;
        while at < args.len() {
            at += match query.flag(args, at) {
                true => 1,
                false => query.option(args, at, set)?,
            };
        }
        query.check(args)?;
        Ok(query)
    }

    /// Reads what comes before the options; where they begin.
    fn positional(&mut self, args: Args<'_>, set: Option<&ZSet>) -> Result<usize, Error> {
        match self.form {
            Form::Around { .. } => {
                self.center = Some(point(args, 2)?);
                self.extent = Some(radius(args, 4)?);
                Ok(6)
            }
            Form::AroundMember { .. } => {
                if set.is_some() {
                    self.center = place_of(set, args.at(2))?;
                    self.extent = Some(radius(args, 3)?);
                }
                Ok(5)
            }
            Form::Search => Ok(2),
            Form::SearchStore => Ok(3),
        }
    }

    /// Reads an option of one word; false when it is none.
    fn flag(&mut self, args: Args<'_>, at: usize) -> bool {
        match args.at(at).to_ascii_lowercase().as_slice() {
            b"withdist" => self.with_distance = true,
            b"withhash" => self.with_hash = true,
            b"withcoord" => self.with_place = true,
            b"any" => self.any = true,
            b"asc" => self.order = Order::Nearest,
            b"desc" => self.order = Order::Farthest,
            b"storedist" if self.form == Form::SearchStore => self.store_distances = true,
            _ => return false,
        }
        true
    }

    /// Reads an option of several words; how many.
    fn option(&mut self, args: Args<'a>, at: usize, set: Option<&ZSet>) -> Result<usize, Error> {
        let search = self.form.is_search();
        let given = args.len() - at - 1;
        let (circle, rectangle) = match self.extent {
            Some((Extent::Radius(_), _)) => (true, false),
            Some((Extent::Box(..), _)) => (false, true),
            None => (false, false),
        };
        match args.at(at).to_ascii_lowercase().as_slice() {
            b"count" if given >= 1 => {
                let count = integer(args.at(at + 1))?;
                self.count = usize::try_from(count).unwrap_or(0);
                if self.count == 0 {
                    return Err(Error::text("ERR COUNT must be > 0"));
                }
                Ok(2)
            }
            word @ (b"store" | b"storedist") if given >= 1 && self.form.may_name_store() => {
                self.store_at = Some(args.at(at + 1));
                self.store_distances = word == b"storedist";
                Ok(2)
            }
            b"frommember" if given >= 1 && search && !self.from_point => {
                if set.is_some() {
                    self.center = place_of(set, args.at(at + 1))?;
                }
                self.from_member = true;
                Ok(2)
            }
            b"fromlonlat" if given >= 2 && search && !self.from_member => {
                self.center = Some(point(args, at + 1)?);
                self.from_point = true;
                Ok(3)
            }
            b"byradius" if given >= 2 && search && !rectangle => {
                self.extent = Some(radius(args, at + 1)?);
                Ok(3)
            }
            b"bybox" if given >= 3 && search && !circle => {
                self.extent = Some(rectangle_at(args, at + 1)?);
                Ok(4)
            }
            _ => Err(Error::Syntax),
        }
    }

    fn check(&self, args: Args<'_>) -> Result<(), Error> {
        let name = word(args.at(0));
        if self.store_at.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            let what = match self.form {
                Form::SearchStore => "GEOSEARCHSTORE",
                Form::Around { .. } | Form::AroundMember { .. } | Form::Search => {
                    "STORE option in GEORADIUS"
                }
            };
            return Err(Error::owned(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if self.form.is_search() && !(self.from_member || self.from_point) {
            return Err(Error::owned(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if self.form.is_search() && self.extent.is_none() {
            return Err(Error::owned(format!(
                "ERR exactly one of BYRADIUS and BYBOX can be specified for {name}"
            )));
        }
        if self.any && self.count == 0 {
            return Err(Error::text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// True for GEOSEARCH and GEOSEARCHSTORE.
    pub(super) fn is_search(&self) -> bool {
        self.form.is_search()
    }

    /// What is looked for; nothing where there was no set to take the middle from.
    pub(super) fn shape(&self) -> Option<Shape> {
        let (extent, unit_m) = self.extent?;
        Some(Shape { center: self.center?, extent, unit_m })
    }
}

/// The place of a member.
fn place_of(set: Option<&ZSet>, member: &[u8]) -> Result<Option<Point>, Error> {
    let score = set.and_then(|set| set.score(member));
    let unknown = Error::text("ERR could not decode requested zset member");
    score.map(|score| Some(Point::of_score(score))).ok_or(unknown)
}

/// A radius at argument `at` and its unit.
fn radius(args: Args<'_>, at: usize) -> Result<(Extent, f64), Error> {
    let radius = size(args.at(at), "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(Error::text("ERR radius cannot be negative"));
    }
    Ok((Extent::Radius(radius), unit_m(args.at(at + 1))?))
}

/// Width and height at argument `at` and their unit.
fn rectangle_at(args: Args<'_>, at: usize) -> Result<(Extent, f64), Error> {
    let width = size(args.at(at), "ERR need numeric width")?;
    let height = size(args.at(at + 1), "ERR need numeric height")?;
    if width < 0.0 || height < 0.0 {
        return Err(Error::text("ERR height or width cannot be negative"));
    }
    Ok((Extent::Box(width, height), unit_m(args.at(at + 2))?))
}

fn size(text: &[u8], message: &'static str) -> Result<f64, Error> {
    parse_f64(text).ok_or(Error::text(message))
}
