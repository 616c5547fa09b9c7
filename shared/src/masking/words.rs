//! Radix tree of the words to search for. Words with a common prefix are compared together.
//!
//! Invariant: memory is the symbols of the words and at most two nodes per word, for all sets of words.

use std::{collections::VecDeque, ops::Range};

/// Cursor in the tree. The symbols on the way to it are the prefix of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    node: u32,
    /// Number of symbols of the node's label before the cursor.
    passed: u32,
}

#[derive(Debug, Default)]
struct Node {
    /// Range of the symbols on the edge to the node, common to all its words.
    label: Range<u32>,
    /// Range of the marks of the words that end at the node.
    marks: Range<u32>,
    /// Range of the child nodes, sorted by the first symbol of their labels.
    children: Range<u32>,
}

/// Radix tree of words, each with a mark.
pub(super) struct Words<M> {
    symbols: Box<[u8]>,
    nodes: Box<[Node]>,
    /// First symbol of each node's label.
    firsts: Box<[u8]>,
    marks: Box<[M]>,
}

impl<M> Words<M> {
    /// Cursor at the root, where every word starts.
    pub(super) const ROOT: Cursor = Cursor { node: 0, passed: 0 };

    fn node(&self, cursor: Cursor) -> &Node {
        &self.nodes[cursor.node as usize]
    }

    /// Symbols that follow the cursor, up to the next point at which words end or diverge.
    pub(super) fn ahead(&self, cursor: Cursor) -> &[u8] {
        let Range { start, end } = self.node(cursor).label;
        &self.symbols[(start + cursor.passed) as usize..end as usize]
    }

    /// Moves the cursor past `symbols` of the symbols [`Words::ahead`].
    pub(super) fn skip(cursor: Cursor, symbols: usize) -> Cursor {
        Cursor { passed: cursor.passed + number(symbols), ..cursor }
    }

    /// First symbols of the child nodes.
    fn choices(&self, cursor: Cursor) -> &[u8] {
        &self.firsts[range(&self.node(cursor).children)]
    }

    /// Moves the cursor past `symbol`. `None` if no word continues with it.
    pub(super) fn after(&self, cursor: Cursor, symbol: u8) -> Option<Cursor> {
        if let Some(&only) = self.ahead(cursor).first() {
            return (only == symbol).then_some(Self::skip(cursor, 1));
        }
        let child = self.choices(cursor).binary_search(&symbol).ok()?;
        let first = self.node(cursor).children.start as usize;
        Some(Cursor { node: number(first + child), passed: 1 })
    }

    /// Cost of [`Words::after`], in steps.
    pub(super) fn steps(&self, cursor: Cursor) -> usize {
        let choices = if self.ahead(cursor).is_empty() { self.choices(cursor).len() } else { 1 };
        1 + choices.checked_ilog2().unwrap_or(0) as usize / 2
    }

    /// Marks of the words that end at the cursor.
    pub(super) fn marks_ending_at(&self, cursor: Cursor) -> &[M] {
        if self.ahead(cursor).is_empty() { &self.marks[range(&self.node(cursor).marks)] } else { &[] }
    }

    /// Returns whether a word continues with a symbol of this kind.
    pub(super) fn continues_with(&self, cursor: Cursor, kind: impl Fn(u8) -> bool) -> bool {
        match self.ahead(cursor).first() {
            Some(&only) => kind(only),
            None => self.choices(cursor).iter().any(|&symbol| kind(symbol)),
        }
    }

    /// Memory of the tree, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.symbols)
            + size_of_val(&*self.nodes)
            + size_of_val(&*self.firsts)
            + size_of_val(&*self.marks)
    }
}

fn range(of: &Range<u32>) -> Range<usize> {
    of.start as usize..of.end as usize
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("far fewer than 2³² symbols")
}

/// Added word, with the range of its symbols.
struct Word<M> {
    start: usize,
    end: usize,
    mark: M,
}

/// Builder of the tree.
pub(super) struct WordsBuilder<M> {
    symbols: Vec<u8>,
    words: Vec<Word<M>>,
}

impl<M: Copy + Ord> WordsBuilder<M> {
    pub(super) fn new() -> Self {
        Self { symbols: Vec::new(), words: Vec::new() }
    }

    /// Adds a word.
    pub(super) fn add(&mut self, symbols: impl IntoIterator<Item = u8>, mark: M) {
        let start = self.symbols.len();
        self.symbols.extend(symbols);
        self.words.push(Word { start, end: self.symbols.len(), mark });
    }

    /// Iterates over the words in the order of their addition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], M)> {
        self.words.iter().map(|word| (self.symbols(word), word.mark))
    }

    fn symbols(&self, word: &Word<M>) -> &[u8] {
        &self.symbols[word.start..word.end]
    }

    /// Builds the tree.
    pub(super) fn build(mut self) -> Words<M> {
        let mut words = std::mem::take(&mut self.words);
        words.sort_unstable_by(|one, other| {
            self.symbols(one).cmp(self.symbols(other)).then_with(|| one.mark.cmp(&other.mark))
        });
        words.dedup_by(|one, other| self.symbols(one) == self.symbols(other) && one.mark == other.mark);
        let mut nodes = vec![Node::default()];
        // Nodes to split, each with its range of words and the number of symbols that they share.
        let mut waiting = VecDeque::from([(0, 0..words.len(), 0)]);
        while let Some((node, mut group, depth)) = waiting.pop_front() {
            let ended = words[group.clone()].iter().take_while(|word| word.end - word.start == depth).count();
            nodes[node].marks = number(group.start)..number(group.start + ended);
            group.start += ended;
            nodes[node].children.start = number(nodes.len());
            while !group.is_empty() {
                let first = self.symbols(&words[group.start]);
                let alike =
                    words[group.clone()].iter().take_while(|word| self.symbols(word)[depth] == first[depth]);
                let child = group.start..group.start + alike.count();
                // The words are sorted, so the common prefix of the first and the last is common to all.
                let last = self.symbols(&words[child.end - 1]);
                let common = depth
                    + first[depth..]
                        .iter()
                        .zip(&last[depth..])
                        .take_while(|(one, other)| one == other)
                        .count();
                let start = words[child.start].start;
                waiting.push_back((nodes.len(), child.clone(), common));
                nodes.push(Node { label: number(start + depth)..number(start + common), ..Node::default() });
                group.start = child.end;
            }
            nodes[node].children.end = number(nodes.len());
        }
        let firsts = nodes
            .iter()
            .map(|node| self.symbols.get(node.label.start as usize).copied().unwrap_or(0))
            .collect();
        let marks = words.iter().map(|word| word.mark).collect();
        Words { symbols: self.symbols.into(), nodes: nodes.into(), firsts, marks }
    }
}

/// Set of numbers below a bound, one bit each.
#[derive(Clone)]
pub(super) struct BitSet(Box<[u64]>);

impl BitSet {
    /// Makes an empty set. Added numbers must be below `end`.
    pub(super) fn with_capacity(end: usize) -> Self {
        Self(vec![0; end.div_ceil(64)].into())
    }

    pub(super) fn add(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    /// Memory of the set, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks of the word `text`, and whether longer words start with it. `None` if no word starts with it.
    fn look_up<'a>(words: &'a Words<u8>, text: &str) -> Option<(&'a [u8], bool)> {
        let mut cursor = Words::<u8>::ROOT;
        for symbol in text.bytes() {
            cursor = words.after(cursor, symbol)?;
        }
        Some((words.marks_ending_at(cursor), words.continues_with(cursor, |_| true)))
    }

    #[test]
    fn words_are_found_symbol_by_symbol() {
        let mut collecting = WordsBuilder::new();
        for (word, mark) in [("abcd", 1), ("abc", 2), ("b", 3), ("abd", 4), ("abc", 5), ("abc", 2)] {
            collecting.add(word.bytes(), mark);
        }
        let words = collecting.build();
        assert_eq!(look_up(&words, ""), Some(([].as_slice(), true)));
        assert_eq!(look_up(&words, "ab"), Some(([].as_slice(), true)));
        assert_eq!(look_up(&words, "abc"), Some(([2, 5].as_slice(), true)), "a word may have several marks");
        assert_eq!(look_up(&words, "abcd"), Some(([1].as_slice(), false)));
        assert_eq!(look_up(&words, "b"), Some(([3].as_slice(), false)));
        for absent in ["c", "ac", "abcde", "bb"] {
            assert_eq!(look_up(&words, absent), None, "{absent}");
        }
    }

    #[test]
    fn without_words_there_is_nothing_to_find() {
        let words = WordsBuilder::<u8>::new().build();
        assert_eq!(look_up(&words, ""), Some(([].as_slice(), false)));
        assert_eq!(look_up(&words, "a"), None);
    }

    #[test]
    fn the_index_has_at_most_two_nodes_per_word() {
        let mut collecting = WordsBuilder::new();
        (0..1_000).for_each(|length| collecting.add(std::iter::repeat_n(b'a', length).chain([b'b']), ()));
        (0..1_000).for_each(|length| collecting.add(std::iter::repeat_n(b'a', length), ()));
        assert!(collecting.build().nodes.len() <= 4_000);
    }
}
