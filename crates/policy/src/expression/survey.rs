//! What an expression does, found before it runs: what it reads, how its loops nest, and what it
//! names that nobody has.

use std::ops::Range;

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::{IdedExpr, ParseError, Program};

use super::Mistake;

/// Everything that is known of an expression before it runs.
pub(super) struct Survey<'a> {
    text: &'a str,
    program: &'a Program,
    known: &'a [&'a str],
    /// The variables of the loops around.
    locals: Vec<String>,
    pub(super) readings: Vec<Reading>,
    pub(super) members: Vec<Member>,
    pub(super) loops: u32,
    depth: u32,
    pub(super) mistakes: Vec<Mistake>,
}

/// One place where a value is read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The name, unless it is one that a loop gives.
    pub(super) name: Option<String>,
    /// How many loops are around it.
    pub(super) loops: u32,
}

/// A member that is named of a value: `name.member`.
#[derive(Debug)]
pub(super) struct Member {
    /// The name of the value.
    pub(super) of: String,
    pub(super) name: String,
    /// Where it stands in the text.
    pub(super) range: Range<usize>,
}

/// How deep loops may nest: a join of two lists needs two.
const LOOPS_MAX: u32 = 2;

/// How deep calls, members and loops may nest: each level takes stack when it is computed, some
/// kilobytes, and tenfold without optimization.
const DEPTH_MAX: u32 = 24;

/// Names of types and of the one namespace, which are no variables.
const TYPES: [&str; 13] = [
    "bool",
    "bytes",
    "double",
    "duration",
    "int",
    "list",
    "map",
    "null_type",
    "optional",
    "optional_type",
    "string",
    "timestamp",
    "type",
];
/// What is left after `uint`, which is a type as well.
const UNSIGNED: &str = "uint";

/// Every function of the standard library, in calls and as members.
const FUNCTIONS: [&str; 33] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "hasValue",
    "int",
    "matches",
    "none",
    "of",
    "ofNonZeroValue",
    "or",
    "orValue",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
    "value",
    "optMap",
];

/// Which macros there are, for whoever misses a function.
const MACROS: &str = "has, all, exists, exists_one, map, filter";

impl<'a> Survey<'a> {
    pub(super) fn of(program: &'a Program, text: &'a str, known: &'a [&'a str]) -> Self {
        let (locals, readings, members, mistakes) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut survey =
            Self { text, program, known, locals, readings, members, loops: 0, depth: 0, mistakes };
        survey.visit(program.expression(), 0);
        survey.mistakes.sort_by_key(|mistake| mistake.range.start);
        survey
    }

    fn visit(&mut self, at: &IdedExpr, loops: u32) {
        self.depth += 1;
        match self.depth <= DEPTH_MAX {
            true => self.visit_parts(at, loops),
            false if self.mistakes.is_empty() => {
                let hint = "let an earlier step, or its result, have a part of it".to_owned();
                self.mistake(at.id, "this is nested too deeply".to_owned(), Some(hint));
            }
            false => {}
        }
        self.depth -= 1;
    }

    fn visit_parts(&mut self, at: &IdedExpr, loops: u32) {
        match &at.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.read(at.id, name, loops),
            Expr::Select(select) => {
                self.name_member(&select.operand, &select.field);
                self.visit(&select.operand, loops);
            }
            Expr::List(list) => list.elements.iter().for_each(|it| self.visit(it, loops)),
            Expr::Map(map) => map.entries.iter().for_each(|it| self.visit_entry(&it.expr, loops)),
            Expr::Struct(made) => {
                let message = format!("there is no type `{}` to make values of", made.type_name);
                self.mistake(at.id, message, Some("write an object: `{'key': value}`".to_owned()));
            }
            Expr::Call(call) => {
                self.name_optional(call);
                self.check_call(at.id, call.target.is_some(), &call.func_name, &call.args);
                if let Some(target) = &call.target {
                    self.visit(target, loops);
                }
                call.args.iter().for_each(|it| self.visit(it, loops));
            }
            Expr::Comprehension(made) => {
                self.visit(&made.iter_range, loops);
                self.visit(&made.accu_init, loops);
                let inside = loops + 1;
                if inside == LOOPS_MAX + 1 {
                    let message = format!("loops nest at most {LOOPS_MAX} deep");
                    self.mistake(at.id, message, None);
                }
                self.loops = self.loops.max(inside);
                let before = self.locals.len();
                self.locals.push(made.accu_var.clone());
                self.locals.push(made.iter_var.clone());
                self.locals.extend(made.iter_var2.clone());
                self.visit(&made.loop_cond, inside);
                self.visit(&made.loop_step, inside);
                self.visit(&made.result, loops);
                self.locals.truncate(before);
            }
        }
    }

    fn visit_entry(&mut self, entry: &EntryExpr, loops: u32) {
        match entry {
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key, loops);
                self.visit(&entry.value, loops);
            }
            EntryExpr::StructField(field) => self.visit(&field.value, loops),
        }
    }

    /// `name.?member`.
    fn name_optional(&mut self, call: &CallExpr) {
        if let [of, IdedExpr { expr: Expr::Literal(LiteralValue::String(member)), .. }] =
            call.args.as_slice()
            && call.func_name == operators::OPT_SELECT
        {
            self.name_member(of, member.inner());
        }
    }

    fn name_member(&mut self, of: &IdedExpr, member: &str) {
        let Expr::Ident(name) = &of.expr else { return };
        if self.locals.iter().any(|local| local == name) {
            return;
        }
        // The member stands behind the name, a dot and perhaps spaces.
        let start = self.program.source_info().offset_for(of.id).map(|(_, stop)| stop as usize + 1);
        let start = start.unwrap_or_default();
        let after = self.text.get(start..).unwrap_or_default();
        let range = after
            .find(member)
            .map_or(0..self.text.len(), |at| start + at..start + at + member.len());
        let (of, name) = (name.clone(), member.to_owned());
        self.members.push(Member { of, name, range });
    }

    fn read(&mut self, id: u64, name: &str, loops: u32) {
        let is_local = self.locals.iter().any(|local| local == name);
        let is_type = TYPES.contains(&name) || name == UNSIGNED;
        if is_local {
            // What a loop gathers (`@result`) grows with what is read anyway.
            if !name.starts_with('@') {
                self.readings.push(Reading { name: None, loops });
            }
        } else if self.known.contains(&name) {
            self.readings.push(Reading { name: Some(name.to_owned()), loops });
        } else if !is_type {
            let names = self.known.iter().map(|known| format!("`{known}`"));
            let names: Vec<_> = names.collect();
            let hint = format!("what can be named here: {}", names.join(", "));
            self.mistake(id, format!("nothing here is called `{name}`"), Some(hint));
            if let Some(mistake) = self.mistakes.last_mut() {
                mistake.unknown = Some(name.to_owned());
            }
        }
    }

    fn check_call(&mut self, id: u64, is_member: bool, name: &str, args: &[IdedExpr]) {
        let is_operator = !name.starts_with(|it: char| it.is_ascii_alphabetic());
        if !is_operator && !FUNCTIONS.contains(&name) {
            let functions = FUNCTIONS.join(", ");
            let hint = format!("functions: {functions}; macros: {MACROS}");
            self.mistake(id, format!("there is no function `{name}`"), Some(hint));
            self.point_at_function(name);
        }
        // A pattern that comes with a value would be compiled in each call.
        if name == "matches" {
            let pattern = if is_member { args.first() } else { args.get(1) };
            let is_fixed =
                pattern.is_some_and(|it| matches!(it.expr, Expr::Literal(LiteralValue::String(_))));
            if !is_fixed {
                let message = "the pattern of `matches` is written out".to_owned();
                self.mistake(id, message, Some("as in `name.matches('^[a-z]+$')`".to_owned()));
            }
        }
    }

    /// The place of a call is that of its bracket; its name stands before it.
    fn point_at_function(&mut self, name: &str) {
        let Some(mistake) = self.mistakes.last_mut() else { return };
        let before = self.text.get(..mistake.range.start).unwrap_or_default().trim_end();
        if before.ends_with(name) {
            mistake.range = before.len() - name.len()..before.len();
        }
    }

    fn mistake(&mut self, id: u64, message: String, hint: Option<String>) {
        let range = self.program.source_info().offset_for(id);
        // The last byte is part of it.
        let range = range.map(|(start, stop)| start as usize..stop as usize + 1);
        let range = range.filter(|range| self.text.get(range.clone()).is_some());
        let range = range.unwrap_or(0..self.text.len());
        self.mistakes.push(Mistake { message, hint, unknown: None, range });
    }
}

/// What the parser says, without its own picture of the place.
pub(super) fn of_syntax(text: &str, error: &ParseError) -> Mistake {
    let (line, column) = error.pos;
    let line = usize::try_from(line - 1).unwrap_or_default();
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let of_line = text.get(start..).unwrap_or_default();
    let column = usize::try_from(column - 1).unwrap_or_default();
    let column = of_line.char_indices().nth(column).map_or(of_line.len(), |(at, _)| at);
    let at = start + column;
    let end =
        text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |it| at + it.len_utf8());
    let said = error.msg.trim().trim_start_matches("Syntax error: ");
    let said = said.split(" expecting ").next().unwrap_or(said).replace("'<EOF>'", "the end");
    let said = said.replace('\'', "`");
    Mistake {
        message: format!("this is no expression: {said}"),
        hint: None,
        unknown: None,
        range: at..end,
    }
}
