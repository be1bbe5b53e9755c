//! Says what it costs to add one rule to those at work and to take it away again, and what compiling them all costs.
//!
//!     cargo run --release -p cresset-pipeline --example reload_cost -- RULES

#![expect(clippy::print_stdout, reason = "prints what it measures")]

use std::sync::Arc;
use std::time::Instant;

use cresset_detect::{Detector, RuleFilter, RuleSources, Rulebook};
use cresset_event::{EventBuilder, FieldNames, LogSource, Origin};
use cresset_pipeline::load_rule_files;

const RULE: &str = "title: New\nlogsource: {product: windows, category: process_creation}\ndetection:\n  \
    s: {CommandLine|contains: [a-new-tool, another-tool], Image|endswith: '\\tool.exe'}\n  condition: s\n";

fn main() {
    let rules: Vec<String> = std::env::args().skip(1).collect();
    let began = Instant::now();
    let files = load_rule_files(&rules);
    println!("{:>9.1?} reading {} files", began.elapsed(), files.len());
    let names = Arc::new(FieldNames::new());
    let began = Instant::now();
    let mut book = Rulebook::new(files, RuleFilter::default(), &names);
    println!("{:>9.1?} compiling {} rules", began.elapsed(), book.set().len());

    let categories = vec!["process_creation".into()];
    let log_source = Arc::new(LogSource { product: Some("windows".into()), service: None, categories });
    let event = EventBuilder::new(names).finish(Origin { log_source, ..Origin::default() });
    let see = |book: &Rulebook| Detector::new(Arc::clone(book.set()), Arc::default()).detect(&event, |_| ());
    let began = Instant::now();
    see(&book);
    println!("{:>9.1?} planning windows/process_creation", began.elapsed());
    for (what, text) in [("adding", Some(RULE)), ("replacing", Some(RULE)), ("removing", None)].repeat(3) {
        let began = Instant::now();
        let sources = text.map(|text| {
            let mut sources = RuleSources::default();
            sources.parse("new.yml", text.as_bytes());
            sources
        });
        assert!(book.change([("new.yml".to_owned(), sources)]).is_changed);
        println!("{:>9.1?} {what} a rule, with the plan; {} rules now", began.elapsed(), book.set().len());
        see(&book);
    }
}
