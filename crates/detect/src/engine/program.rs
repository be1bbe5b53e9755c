//! Conditions as the matcher walks them: the nodes of all of them in one row, each followed by its parts.
//!
//! An [`Expr`] is a tree over the heap; here what is read one after the other lies so. Parts stand in the order of what they
//! cost, the cheapest first.

use super::expr::{Expr, TestId};

/// The conditions of one plan.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    nodes: Vec<Node>,
}

/// What a plan says of a test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    /// Its number in the plan.
    pub(crate) number: u32,
    /// What it costs when a rule is evaluated.
    pub(crate) cost: u32,
}

/// Where a condition begins in its [`Programs`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start(u32);

/// `end` is where the node behind a node's last part stands.
#[derive(Debug, Clone, Copy)]
enum Node {
    Always,
    Never,
    /// The test of this number in the plan.
    Test(u32),
    Not {
        end: u32,
    },
    And {
        end: u32,
    },
    Or {
        end: u32,
    },
    AtLeast {
        least: u32,
        end: u32,
    },
}

impl Programs {
    /// Adds a condition; `planned` tells of its tests.
    pub(crate) fn add(&mut self, expr: &Expr, planned: &impl Fn(TestId) -> Planned) -> Start {
        let start = self.next();
        match expr {
            Expr::Always => self.nodes.push(Node::Always),
            Expr::Never => self.nodes.push(Node::Never),
            Expr::Test(id) => self.nodes.push(Node::Test(planned(*id).number)),
            Expr::Not(inner) => self.join(std::slice::from_ref(&**inner), planned, |end| Node::Not { end }),
            Expr::And(parts) => self.join(parts, planned, |end| Node::And { end }),
            Expr::Or(parts) => self.join(parts, planned, |end| Node::Or { end }),
            Expr::AtLeast(least, parts) => {
                let least = u32::try_from(*least).expect("at most as many as there are parts");
                self.join(parts, planned, |end| Node::AtLeast { least, end });
            }
        }
        Start(start)
    }

    fn join(&mut self, parts: &[Expr], planned: &impl Fn(TestId) -> Planned, node: impl Fn(u32) -> Node) {
        let at = self.nodes.len();
        self.nodes.push(Node::Never);
        let mut ordered: Vec<&Expr> = parts.iter().collect();
        ordered.sort_by_cached_key(|part| part.cost(&|id| planned(id).cost));
        for part in ordered {
            self.add(part, planned);
        }
        self.nodes[at] = node(self.next());
    }

    fn next(&self) -> u32 {
        u32::try_from(self.nodes.len()).expect("conditions are bounded")
    }

    /// Returns whether a condition holds, asking `holds` for each test.
    pub(crate) fn holds(&self, start: Start, holds: &mut impl FnMut(u32) -> bool) -> bool {
        match self.nodes[start.0 as usize] {
            Node::Always => true,
            Node::Never => false,
            Node::Test(test) => holds(test),
            Node::Not { .. } => !self.holds(Start(start.0 + 1), holds),
            Node::And { end } => self.parts(start, end).all(|part| self.holds(part, holds)),
            Node::Or { end } => self.parts(start, end).any(|part| self.holds(part, holds)),
            Node::AtLeast { least, end } => {
                let mut missing = least;
                self.parts(start, end).any(|part| {
                    missing -= u32::from(self.holds(part, holds));
                    missing == 0
                })
            }
        }
    }

    /// Passes on the tests that make a condition hold which does: those that hold and are not turned round.
    pub(crate) fn reasons(&self, start: Start, holds: &mut impl FnMut(u32) -> bool, found: &mut impl FnMut(u32)) {
        match self.nodes[start.0 as usize] {
            Node::Test(test) => {
                if holds(test) {
                    found(test);
                }
            }
            Node::And { end } | Node::Or { end } | Node::AtLeast { end, .. } => {
                for part in self.parts(start, end) {
                    if self.holds(part, holds) {
                        self.reasons(part, holds, found);
                    }
                }
            }
            Node::Always | Node::Never | Node::Not { .. } => {}
        }
    }

    fn parts(&self, of: Start, end: u32) -> impl Iterator<Item = Start> {
        let mut next = of.0 + 1;
        std::iter::from_fn(move || {
            let part = next;
            (part < end).then(|| {
                next = self.end(part);
                Start(part)
            })
        })
    }

    fn end(&self, node: u32) -> u32 {
        match self.nodes[node as usize] {
            Node::Always | Node::Never | Node::Test(_) => node + 1,
            Node::Not { end } | Node::And { end } | Node::Or { end } | Node::AtLeast { end, .. } => end,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expr() -> impl Strategy<Value = Expr> {
        let leaf = prop_oneof![
            1 => Just(Expr::Always),
            1 => Just(Expr::Never),
            8 => (0_u32..6).prop_map(|id| Expr::Test(TestId(id))),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let parts = || prop::collection::vec(inner.clone(), 0..4);
            prop_oneof![
                parts().prop_map(Expr::And),
                parts().prop_map(Expr::Or),
                (1_usize..4, parts()).prop_map(|(least, parts)| Expr::AtLeast(least, parts)),
                inner.clone().prop_map(|part| Expr::Not(Box::new(part))),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_comes_to_what_the_tree_comes_to(before in expr(), tree in expr(), truths in 0_u32..64) {
            let planned = |id: TestId| Planned { number: id.0, cost: id.0 % 3 };
            let mut programs = Programs::default();
            programs.add(&before, &planned);
            let start = programs.add(&tree, &planned);
            let truth = |test: u32| truths & (1 << test) != 0;
            let expected = tree.holds(&mut |id| truth(id.0));
            prop_assert_eq!(programs.holds(start, &mut |test| truth(test)), expected);
        }
    }
}
