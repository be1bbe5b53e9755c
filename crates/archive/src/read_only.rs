//! The files of an archive for those that read them by themselves: an object store that cannot be written to.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::path::Path as Name;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::storage::{Storage, read_or_retired};

/// Files by name; nothing is listed, and nothing is written.
#[derive(Debug)]
pub(crate) struct ReadOnly(pub(crate) Storage);

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the archive's files, to be read")
    }
}

fn refused<T>(operation: &str) -> Result<T> {
    Err(Error::NotSupported { source: format!("an archive is only read here; no {operation}").into() })
}

#[async_trait]
impl ObjectStore for ReadOnly {
    async fn get_opts(&self, at: &Name, options: GetOptions) -> Result<GetResult> {
        read_or_retired(at, |at| {
            let options = options.clone();
            async move { self.0.store().get_opts(&at, options).await }
        })
        .await
    }

    async fn get_ranges(&self, at: &Name, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        read_or_retired(at, |at| async move { self.0.store().get_ranges(&at, ranges).await }).await
    }

    async fn put_opts(&self, _: &Name, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        refused("put")
    }

    async fn put_multipart_opts(&self, _: &Name, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        refused("put")
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Name>>) -> BoxStream<'static, Result<Name>> {
        at.map(|_| refused("delete")).boxed()
    }

    fn list(&self, _: Option<&Name>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::iter([refused("list")]).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Name>) -> Result<ListResult> {
        refused("list")
    }

    async fn copy_opts(&self, _: &Name, _: &Name, _: CopyOptions) -> Result<()> {
        refused("copy")
    }
}
