//! TOML to a tree, for the hosts that write TOML.

use toml_edit::{Document, Item, TableLike, Value as Toml};

use crate::tree::{Entry, Node, SyntaxError, Value};

/// Reads one TOML document.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let document = Document::parse(text).map_err(|error| {
        let range = error.span().unwrap_or(0..0);
        SyntaxError::new(range, error.message().to_owned())
    })?;
    Ok(Node::new(0..text.len(), table(document.as_table())))
}

fn table(table: &dyn TableLike) -> Value {
    let entries = table
        .get_values_and_tables()
        .into_iter()
        .map(|(key, key_range, node)| Entry { key, key_range, node })
        .collect();
    Value::Mapping(entries)
}

/// The members of a table, each with the place of its key.
trait Members {
    fn get_values_and_tables(&self) -> Vec<(String, std::ops::Range<usize>, Node)>;
}

impl Members for dyn TableLike + '_ {
    fn get_values_and_tables(&self) -> Vec<(String, std::ops::Range<usize>, Node)> {
        self.iter()
            .map(|(name, item)| {
                let place = self.key(name).and_then(toml_edit::Key::span);
                let node = item_node(item);
                (name.to_owned(), place.unwrap_or_else(|| node.range.clone()), node)
            })
            .collect()
    }
}

fn item_node(item: &Item) -> Node {
    let range = item.span().unwrap_or(0..0);
    let value = match item {
        Item::None => Value::Null,
        Item::Value(found) => value(found),
        Item::Table(found) => table(found),
        Item::ArrayOfTables(tables) => Value::Sequence(
            tables
                .iter()
                .map(|found| Node::new(found.span().unwrap_or(0..0), table(found)))
                .collect(),
        ),
    };
    Node::new(range, value)
}

fn value(found: &Toml) -> Value {
    match found {
        Toml::String(text) => Value::String(text.value().clone()),
        Toml::Integer(number) => Value::Number(number.value().to_string()),
        Toml::Float(number) => Value::Number(number.value().to_string()),
        Toml::Boolean(flag) => Value::Bool(*flag.value()),
        Toml::Datetime(time) => Value::String(time.value().to_string()),
        Toml::Array(items) => Value::Sequence(
            items
                .iter()
                .map(|item| Node::new(item.span().unwrap_or(0..0), value(item)))
                .collect(),
        ),
        Toml::InlineTable(found) => table(found),
    }
}
