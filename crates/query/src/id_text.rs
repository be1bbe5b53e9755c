//! Ids as people and detections write them.

use std::sync::Arc;

use cresset_event::EventId;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, StringViewBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Bytes of an id.
pub(crate) const ID_BYTES: i32 = 16;

/// The function that turns the 16 bytes of an id into the form of a UUID.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IdText(Signature);

/// Returns the function.
pub(crate) fn id_text() -> ScalarUDF {
    ScalarUDF::from(IdText(Signature::exact(vec![DataType::FixedSizeBinary(ID_BYTES)], Volatility::Immutable)))
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
