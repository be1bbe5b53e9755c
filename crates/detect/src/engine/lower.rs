//! From a parsed rule to its condition: selections are put in, modifiers become tests.
//!
//! After the Sigma specification 2.1 and its modifiers appendix. What contradicts itself is refused with a reason and never
//! read as one of the things that it might mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cresset_event::{FieldId, FieldNames, Network};
use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Detections, Modifier, Quantifier, SelectorPattern, SigmaRule, SigmaString,
    SigmaValue, StringPart,
};

use super::expr::{Expr, TestTable};
use super::glob::{Dashes, Glob};
use super::test::{Case, Comparison, Number, TemplatePart, Test, TextOp, TimePart};

/// Deepest nesting of a condition or selection. People write three or four levels.
const DEPTH_MAX: usize = 64;
/// Most values of one rule. The longest list of SigmaHQ has about 400.
const VALUES_MAX: usize = 100_000;
/// Most regular expressions of one rule, of which each may be large. Few rules have more than ten.
const REGEXES_MAX: usize = 64;
/// Longest value. Past it a rule is a mistake, or means harm.
const VALUE_BYTES_MAX: usize = 1 << 16;

/// Reads rules into one table of tests.
pub(crate) struct Lowering<'l> {
    pub(crate) names: &'l FieldNames,
    pub(crate) tests: &'l mut TestTable,
}

impl Lowering<'_> {
    /// Returns the rule's condition; several conditions are alternatives.
    pub(crate) fn rule(&mut self, rule: &SigmaRule) -> Result<Expr, String> {
        check_size(&rule.detection)?;
        if rule.detection.conditions.is_empty() {
            return Err("the rule has no condition".into());
        }
        let conditions = rule.detection.conditions.iter();
        let parts: Vec<Expr> =
            conditions.map(|condition| self.condition(condition, &rule.detection, 0)).collect::<Result<_, _>>()?;
        Ok(Expr::or(parts))
    }

    fn condition(&mut self, condition: &ConditionExpr, selections: &Detections, depth: usize) -> Result<Expr, String> {
        check_depth(depth)?;
        let mut lower_all = |parts: &[ConditionExpr]| -> Result<Vec<Expr>, String> {
            parts.iter().map(|part| self.condition(part, selections, depth + 1)).collect()
        };
        match condition {
            ConditionExpr::And(parts) => Ok(Expr::and(lower_all(parts)?)),
            ConditionExpr::Or(parts) => Ok(Expr::or(lower_all(parts)?)),
            ConditionExpr::Not(inner) => Ok(Expr::not(self.condition(inner, selections, depth + 1)?)),
            ConditionExpr::Identifier(name) => {
                let selection = selections.named.get(name);
                let selection =
                    selection.ok_or_else(|| format!("the condition names `{name}`, which is no selection"))?;
                self.selection(selection, depth + 1)
            }
            ConditionExpr::Selector { quantifier, pattern } => {
                let parts: Vec<Expr> = meant(selections, pattern)
                    .into_iter()
                    .map(|(_, selection)| self.selection(selection, depth + 1))
                    .collect::<Result<_, _>>()?;
                Ok(match quantifier {
                    Quantifier::Any => Expr::or(parts),
                    Quantifier::All => Expr::and(parts),
                    Quantifier::Count(least) => Expr::at_least(usize::try_from(*least).unwrap_or(usize::MAX), parts),
                })
            }
        }
    }

    fn selection(&mut self, selection: &Detection, depth: usize) -> Result<Expr, String> {
        check_depth(depth)?;
        match selection {
            Detection::AllOf(items) if items.is_empty() => Err("a selection is empty".into()),
            Detection::AllOf(items) => {
                let parts: Vec<Expr> = items.iter().map(|item| self.item(item)).collect::<Result<_, _>>()?;
                Ok(Expr::and(parts))
            }
            Detection::AnyOf(parts) | Detection::And(parts) if parts.is_empty() => Err("a selection is empty".into()),
            Detection::AnyOf(parts) => Ok(Expr::or(self.selections(parts, depth)?)),
            Detection::And(parts) => Ok(Expr::and(self.selections(parts, depth)?)),
            Detection::Keywords(values) => {
                let parts: Vec<Expr> = values.iter().map(|value| self.keyword(value)).collect::<Result<_, _>>()?;
                Ok(Expr::or(parts))
            }
            Detection::ArrayMatch { field, .. } => Err(format!(
                "`{field}[…]` is a proposal and not in Sigma 2.1: a field's members are compared one by one without it"
            )),
            Detection::Conditional { .. } => {
                Err("a condition inside a selection is a proposal and not in Sigma 2.1".into())
            }
        }
    }

    fn selections(&mut self, parts: &[Detection], depth: usize) -> Result<Vec<Expr>, String> {
        parts.iter().map(|part| self.selection(part, depth + 1)).collect()
    }

    /// A keyword stands anywhere in any text of the event.
    fn keyword(&mut self, value: &SigmaValue) -> Result<Expr, String> {
        match value {
            SigmaValue::Null => Err("`null` is no keyword; name the field that is to be absent".into()),
            value => {
                let how = How { op: TextOp::Contains, ..How::default() };
                let tests = self.text_tests(&sigma_string(value), &how)?;
                self.any(None, tests)
            }
        }
    }

    /// Returns what one item of a selection asks.
    pub(crate) fn item(&mut self, item: &DetectionItem) -> Result<Expr, String> {
        let mut how = How::read(&item.field.modifiers)?;
        let field = match &item.field.name {
            None => {
                how.op = if how.kind == Kind::Text && how.op == TextOp::Equals { TextOp::Contains } else { how.op };
                None
            }
            Some(name) => Some(self.names.intern_asked(name).ok_or("too many different field names are asked for")?),
        };
        if how.kind == Kind::Exists {
            return self.exists(field, item.values.first());
        }
        if how.all && item.values.len() < 2 {
            return Err("`all` needs more than one value".into());
        }
        let values: Vec<Vec<Test>> =
            item.values.iter().map(|value| self.value(value, &how)).collect::<Result<_, _>>()?;
        let whole = if how.all {
            let parts: Vec<Expr> = values.into_iter().map(|tests| self.any(field, tests)).collect::<Result<_, _>>()?;
            Expr::and(parts)
        } else {
            self.any(field, values.into_iter().flatten().collect())?
        };
        if !how.negated {
            return Ok(whole);
        }
        let is_there = match field {
            Some(_) => Expr::Test(self.tests.add(field, Test::Present)?),
            None => Expr::Always,
        };
        Ok(Expr::and([is_there, Expr::not(whole)]))
    }

    fn exists(&mut self, field: Option<FieldId>, value: Option<&SigmaValue>) -> Result<Expr, String> {
        let field = field.ok_or("`exists` needs a field")?;
        let there = Expr::Test(self.tests.add(Some(field), Test::Exists)?);
        let wanted = match value {
            Some(SigmaValue::Bool(wanted)) => *wanted,
            Some(SigmaValue::String(text)) => !matches!(text.original.as_str(), "false" | "no"),
            _ => true,
        };
        Ok(if wanted { there } else { Expr::not(there) })
    }

    /// One of these tests; those that compare text in the same way become one.
    fn any(&mut self, field: Option<FieldId>, tests: Vec<Test>) -> Result<Expr, String> {
        let mut parts = Vec::new();
        for test in merge(tests) {
            parts.push(Expr::Test(self.tests.add(field, test)?));
        }
        Ok(Expr::or(parts))
    }

    /// What one value asks: one of these.
    fn value(&mut self, value: &SigmaValue, how: &How) -> Result<Vec<Test>, String> {
        let test = match how.kind {
            Kind::Text => {
                return match value {
                    SigmaValue::Integer(number) if how.is_plain() => Ok(vec![equal(*number as f64)]),
                    SigmaValue::Float(number) if how.is_plain() => Ok(vec![equal(*number)]),
                    SigmaValue::Bool(truth) => Ok(vec![Test::Bool(*truth)]),
                    SigmaValue::Null => Ok(vec![Test::Null]),
                    value => self.text_tests(&sigma_string(value), how),
                };
            }
            Kind::Exists => return Err("`exists` takes no list".into()),
            Kind::Regex => Test::Regex(format!("{}{}", how.regex_flags, plain(value)?).into()),
            Kind::Network => {
                let text = plain(value)?;
                let network = Network::parse(&text).filter(|_| text.contains('/'));
                Test::Network(network.ok_or_else(|| format!("`{text}` is no range of addresses such as 192.0.2.0/24"))?)
            }
            Kind::Number(comparison) => Test::Number(comparison, Number(parse_number(value)?)),
            Kind::TimePart(part) => Test::TimePart(part, Number(parse_number(value)?)),
            Kind::Field => {
                let name = plain(value)?;
                let field = self.names.intern_asked(&name).ok_or("too many different field names are asked for")?;
                Test::Field { field, op: how.op, case: how.case }
            }
            Kind::Template => self.template(&plain(value)?, how)?,
        };
        Ok(vec![test])
    }

    /// Text as it is, or encoded as the modifiers say.
    fn text_tests(&mut self, value: &SigmaString, how: &How) -> Result<Vec<Test>, String> {
        if how.encoding.is_none() && how.base64 == Base64::No {
            return Ok(vec![glob_test(value, how.op, how.case, how.dashes)]);
        }
        let text = value.as_plain().unwrap_or_else(|| value.original.clone());
        let bytes = encode(&text, how.encoding);
        let literal = |text: &str, op| text_test(op, how.case, text);
        Ok(match how.base64 {
            Base64::No => vec![literal(&String::from_utf8_lossy(&bytes), how.op)],
            Base64::Whole => vec![literal(&STANDARD.encode(bytes), how.op)],
            Base64::AnyOffset => base64_at_offsets(&bytes).iter().map(|text| literal(text, TextOp::Contains)).collect(),
        })
    }

    fn template(&mut self, text: &str, how: &How) -> Result<Test, String> {
        let mut parts = Vec::new();
        for (at, piece) in text.split('%').enumerate() {
            match piece {
                "" => {}
                name if at % 2 == 1 => {
                    let field = self.names.intern_asked(name);
                    parts.push(TemplatePart::Field(field.ok_or("too many different field names are asked for")?));
                }
                literal => parts.push(TemplatePart::Text(literal.into())),
            }
        }
        if text.matches('%').count() % 2 == 1 {
            return Err(format!("`{text}` has a `%` that does not end; write %name%"));
        }
        Ok(Test::Template { parts: parts.into(), op: how.op, case: how.case })
    }
}

/// Returns the selections that `1 of pattern` means, by name: the parser keeps them in no order, and the same rule must
/// always become the same condition.
pub(crate) fn meant<'s>(selections: &'s Detections, pattern: &SelectorPattern) -> Vec<(&'s String, &'s Detection)> {
    let mut meant: Vec<_> = selections.named.iter().filter(|(name, _)| pattern.matches_detection_name(name)).collect();
    meant.sort_by_key(|(name, _)| *name);
    meant
}

/// How an item compares, read from its modifiers.
#[derive(Debug, Clone, PartialEq)]
struct How {
    kind: Kind,
    op: TextOp,
    case: Case,
    dashes: Dashes,
    encoding: Option<Utf16>,
    base64: Base64,
    regex_flags: String,
    all: bool,
    negated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Regex,
    Network,
    Number(Comparison),
    TimePart(TimePart),
    Exists,
    Field,
    Template,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Utf16 {
    LittleEndian,
    BigEndian,
    WithByteOrderMark,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Base64 {
    No,
    Whole,
    AnyOffset,
}

impl Default for How {
    fn default() -> Self {
        Self {
            kind: Kind::Text,
            op: TextOp::Equals,
            case: Case::Folded,
            dashes: Dashes::Literal,
            encoding: None,
            base64: Base64::No,
            regex_flags: String::new(),
            all: false,
            negated: false,
        }
    }
}

impl How {
    /// Reads modifiers; `Err` where two contradict each other.
    fn read(modifiers: &[Modifier]) -> Result<Self, String> {
        let mut how = Self::default();
        let mut flags = String::new();
        for modifier in modifiers {
            how.read_one(*modifier, &mut flags)?;
        }
        let is_encoded = how.dashes == Dashes::Any || how.encoding.is_some() || how.base64 != Base64::No;
        if is_encoded && how.kind != Kind::Text {
            return Err("the modifiers contradict each other: text is encoded that is not compared as text".into());
        }
        if how.op != TextOp::Equals && !matches!(how.kind, Kind::Text | Kind::Field | Kind::Template) {
            return Err("the modifiers contradict each other: they compare in two ways".into());
        }
        if !flags.is_empty() {
            if how.kind != Kind::Regex {
                return Err("`i`, `m` and `s` are flags of `re`, which is not there".into());
            }
            how.regex_flags = format!("(?{flags})");
        }
        Ok(how)
    }

    fn read_one(&mut self, modifier: Modifier, flags: &mut String) -> Result<(), String> {
        match modifier {
            Modifier::Contains => self.set_op(TextOp::Contains),
            Modifier::StartsWith => self.set_op(TextOp::StartsWith),
            Modifier::EndsWith => self.set_op(TextOp::EndsWith),
            Modifier::All => set(&mut self.all, true),
            Modifier::Neq => set(&mut self.negated, true),
            Modifier::Cased => set(&mut self.case, Case::Kept),
            Modifier::WindAsh => set(&mut self.dashes, Dashes::Any),
            Modifier::Base64 => self.set_base64(Base64::Whole),
            Modifier::Base64Offset => self.set_base64(Base64::AnyOffset),
            Modifier::Wide => self.set_encoding(Utf16::LittleEndian),
            Modifier::Utf16be => self.set_encoding(Utf16::BigEndian),
            Modifier::Utf16 => self.set_encoding(Utf16::WithByteOrderMark),
            Modifier::Re => self.set_kind(Kind::Regex),
            Modifier::Cidr => self.set_kind(Kind::Network),
            Modifier::Exists => self.set_kind(Kind::Exists),
            Modifier::FieldRef => self.set_kind(Kind::Field),
            Modifier::Expand => self.set_kind(Kind::Template),
            Modifier::Gt => self.set_kind(Kind::Number(Comparison::Greater)),
            Modifier::Gte => self.set_kind(Kind::Number(Comparison::GreaterOrEqual)),
            Modifier::Lt => self.set_kind(Kind::Number(Comparison::Less)),
            Modifier::Lte => self.set_kind(Kind::Number(Comparison::LessOrEqual)),
            Modifier::Minute => self.set_kind(Kind::TimePart(TimePart::Minute)),
            Modifier::Hour => self.set_kind(Kind::TimePart(TimePart::Hour)),
            Modifier::Day => self.set_kind(Kind::TimePart(TimePart::Day)),
            Modifier::Week => self.set_kind(Kind::TimePart(TimePart::Week)),
            Modifier::Month => self.set_kind(Kind::TimePart(TimePart::Month)),
            Modifier::Year => self.set_kind(Kind::TimePart(TimePart::Year)),
            Modifier::IgnoreCase => push_flag(flags, 'i'),
            Modifier::Multiline => push_flag(flags, 'm'),
            Modifier::DotAll => push_flag(flags, 's'),
        }
    }

    fn set_op(&mut self, op: TextOp) -> Result<(), String> {
        if self.op != TextOp::Equals && self.op != op {
            return Err("only one of `contains`, `startswith` and `endswith` can be asked".into());
        }
        set(&mut self.op, op)
    }

    fn set_kind(&mut self, kind: Kind) -> Result<(), String> {
        if self.kind != Kind::Text && self.kind != kind {
            return Err("the modifiers compare in two ways that exclude each other".into());
        }
        if kind == Kind::Field && self.op != TextOp::Equals {
            return Err("`contains`, `startswith` and `endswith` stand behind `fieldref`, not before it".into());
        }
        set(&mut self.kind, kind)
    }

    fn set_encoding(&mut self, encoding: Utf16) -> Result<(), String> {
        if self.encoding.is_some_and(|has| has != encoding) {
            return Err("only one of `wide`, `utf16` and `utf16be` can be asked".into());
        }
        set(&mut self.encoding, Some(encoding))
    }

    fn set_base64(&mut self, base64: Base64) -> Result<(), String> {
        if self.base64 != Base64::No && self.base64 != base64 {
            return Err("only one of `base64` and `base64offset` can be asked".into());
        }
        set(&mut self.base64, base64)
    }

    /// Whether the value is compared as it is, so that a number is compared as one.
    fn is_plain(&self) -> bool {
        self.op == TextOp::Equals && self.encoding.is_none() && self.base64 == Base64::No
    }
}

fn set<T>(place: &mut T, value: T) -> Result<(), String> {
    *place = value;
    Ok(())
}

fn push_flag(flags: &mut String, flag: char) -> Result<(), String> {
    if !flags.contains(flag) {
        flags.push(flag);
    }
    Ok(())
}

fn check_depth(depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX { Err(format!("nested more than {DEPTH_MAX} levels deep")) } else { Ok(()) }
}

/// Bounds what is compiled, before any of it is.
fn check_size(detections: &Detections) -> Result<(), String> {
    let (mut values, mut regexes) = (0, 0);
    let mut waiting: Vec<&Detection> = detections.named.values().collect();
    while let Some(detection) = waiting.pop() {
        let found = match detection {
            Detection::AllOf(items) => {
                let are_regexes = |item: &&DetectionItem| item.field.modifiers.contains(&Modifier::Re);
                regexes += items.iter().filter(are_regexes).map(|item| item.values.len()).sum::<usize>();
                items.iter().flat_map(|item| &item.values).collect()
            }
            Detection::Keywords(found) => found.iter().collect(),
            Detection::AnyOf(parts) | Detection::And(parts) => {
                waiting.extend(parts);
                Vec::new()
            }
            Detection::ArrayMatch { body, .. } => {
                waiting.push(body);
                Vec::new()
            }
            Detection::Conditional { named, .. } => {
                waiting.extend(named.values());
                Vec::new()
            }
        };
        values += found.len();
        let longest = found.into_iter().map(|value| match value {
            SigmaValue::String(text) => text.original.len(),
            _ => 0,
        });
        if longest.max().unwrap_or(0) > VALUE_BYTES_MAX {
            return Err(format!("a value is longer than {VALUE_BYTES_MAX} bytes"));
        }
    }
    if regexes > REGEXES_MAX {
        return Err(format!("{regexes} regular expressions; a rule has at most {REGEXES_MAX}, join them with `|`"));
    }
    if values > VALUES_MAX { Err(format!("{values} values; a rule has at most {VALUES_MAX}")) } else { Ok(()) }
}

fn equal(number: f64) -> Test {
    Test::Number(Comparison::Equal, Number(number))
}

fn text_test(op: TextOp, case: Case, text: &str) -> Test {
    Test::Text { op, case, literals: [case.apply(text).into()].into() }
}

fn glob_test(value: &SigmaString, op: TextOp, case: Case, dashes: Dashes) -> Test {
    let glob = Glob::new(value, op, case, dashes);
    match glob.as_plain() {
        Some((op, text)) => Test::Text { op, case, literals: [text.into()].into() },
        None => Test::Glob { glob, case },
    }
}

/// Joins texts that are compared alike into one test.
fn merge(tests: Vec<Test>) -> Vec<Test> {
    let mut merged: Vec<Test> = Vec::new();
    for test in tests {
        if let Test::Text { op, case, literals } = &test {
            let same = merged.iter_mut().find_map(|has| match has {
                Test::Text { op: has_op, case: has_case, literals } if has_op == op && has_case == case => {
                    Some(literals)
                }
                _ => None,
            });
            if let Some(has) = same {
                let mut all: Vec<Box<str>> = std::mem::take(has).into();
                all.extend(literals.iter().cloned());
                *has = all.into();
                continue;
            }
        }
        merged.push(test);
    }
    for test in &mut merged {
        if let Test::Text { literals, .. } = test {
            let mut all: Vec<Box<str>> = std::mem::take(literals).into();
            all.sort();
            all.dedup();
            *literals = all.into();
        }
    }
    merged
}

/// A value as text; numbers and truth values as they would be written.
fn sigma_string(value: &SigmaValue) -> SigmaString {
    match value {
        SigmaValue::String(text) => text.clone(),
        other => SigmaString { parts: vec![StringPart::Plain(other.to_string())], original: other.to_string() },
    }
}

fn plain(value: &SigmaValue) -> Result<String, String> {
    match value {
        SigmaValue::String(text) => Ok(text.as_plain().unwrap_or_else(|| text.original.clone())),
        SigmaValue::Null => Err("`null` has no text to compare".into()),
        other => Ok(other.to_string()),
    }
}

fn parse_number(value: &SigmaValue) -> Result<f64, String> {
    match value {
        SigmaValue::Integer(number) => Ok(*number as f64),
        SigmaValue::Float(number) => Ok(*number),
        SigmaValue::String(text) => text.original.parse().map_err(|_| format!("`{}` is not a number", text.original)),
        SigmaValue::Bool(_) | SigmaValue::Null => Err("a number is needed here".into()),
    }
}

fn encode(text: &str, encoding: Option<Utf16>) -> Vec<u8> {
    match encoding {
        None => text.as_bytes().to_vec(),
        Some(Utf16::LittleEndian) => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Some(Utf16::BigEndian) => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Some(Utf16::WithByteOrderMark) => {
            [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
        }
    }
}

/// What is the same in Base64 wherever the bytes begin: three texts, without the characters that neighbours change.
fn base64_at_offsets(bytes: &[u8]) -> Vec<String> {
    let at_offset = |offset: usize| {
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
        // The last character holds bits of what follows, unless the bytes end with a group of three.
        let whole_chars = padded.len() * 8 / 6;
        let start = (offset * 4).div_ceil(3);
        let encoded = STANDARD.encode(padded);
        encoded.get(start..whole_chars).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    (0..3).filter_map(at_offset).collect()
}
