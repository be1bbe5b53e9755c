//! Ids as people and detections write them.

use std::sync::Arc;

use cresset_event::EventId;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, StringViewBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    binary_expr,
};
use datafusion::prelude::lit;

/// Bytes of an id.
pub(crate) const ID_BYTES: i32 = 16;

/// The function that turns the 16 bytes of an id into the form of a UUID.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IdText(Signature);

/// Returns the function.
pub(crate) fn id_text() -> ScalarUDF {
    ScalarUDF::from(IdText(Signature::exact(vec![DataType::FixedSizeBinary(ID_BYTES)], Volatility::Immutable)))
}

/// Returns a condition in which ids that are compared with texts are compared as they are stored: what statistics and filters of files
/// can tell. One that no id fulfils stays as it is.
pub(crate) fn by_stored_id(condition: Expr) -> Result<Expr> {
    condition.transform_down(|part| Ok(stored(&part).map_or_else(|| Transformed::no(part), Transformed::yes))).data()
}

fn stored(part: &Expr) -> Option<Expr> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Eq | Operator::NotEq), right }) => {
            let (column, id) = match (column_of(left), column_of(right)) {
                (Some(column), None) => (column, stored_id(right)?),
                (None, Some(column)) => (column, stored_id(left)?),
                _ => return None,
            };
            Some(binary_expr(column, *op, id))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let ids = list.iter().map(stored_id).collect::<Option<Vec<_>>>()?;
            Some(column_of(expr)?.in_list(ids, *negated))
        }
        _ => None,
    }
}

/// Returns what an expression makes the text of.
fn column_of(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.func.inner().is::<IdText>() => call.args.first().cloned(),
        _ => None,
    }
}

/// Returns the id that a text is that of, as a value of its column.
fn stored_id(text: &Expr) -> Option<Expr> {
    let Expr::Literal(value, _) = text else { return None };
    let id = EventId::parse(value.try_as_str()??)?;
    Some(lit(ScalarValue::FixedSizeBinary(ID_BYTES, Some(id.as_bytes().to_vec()))))
}

impl ScalarUDFImpl for IdText {
    fn name(&self) -> &str {
        "id_text"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ids = ColumnarValue::values_to_arrays(&args.args)?;
        let ids = ids.first().and_then(|ids| ids.as_fixed_size_binary_opt());
        let ids = ids.ok_or_else(|| DataFusionError::Internal("id_text takes ids".into()))?;
        let mut texts = StringViewBuilder::with_capacity(ids.len());
        for id in ids {
            let id = id.and_then(|id| id.try_into().ok()).map(EventId::from_bytes);
            texts.append_option(id.map(|id| id.to_string()));
        }
        Ok(ColumnarValue::Array(Arc::new(texts.finish())))
    }
}
