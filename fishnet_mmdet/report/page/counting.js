// Which objects are found at a threshold. Predictions were matched in the order of their scores, so those above a threshold
// match as they would alone: an object is found if the prediction that matches it has at least this score.
const NEVER = -1
const CROWD = -2
const FALSE = 0
const TRUE = 1

// Found, missed and false ones of an image at a threshold in percent; label -1 counts all classes.
function count (image, percent, label) {
  const result = {found: 0, missed: 0, wrong: 0, truths: 0, shown: 0}
  for (let i = 0; i < image.truths.length; i += 2) {
    const at = image.truths[i + 1]
    if ((label >= 0 && image.truths[i] !== label) || at === CROWD) continue
    result.truths += 1
    if (at >= percent) result.found += 1
    else result.missed += 1
  }
  for (let i = 0; i < image.predictions.length; i += 3) {
    if ((label >= 0 && image.predictions[i] !== label) || image.predictions[i + 1] < percent) continue
    result.shown += 1
    if (image.predictions[i + 2] === FALSE) result.wrong += 1
  }
  return result
}

// Whether an image has an object or a prediction of a class at a threshold.
function has (counted) {
  return counted.truths + counted.shown > 0
}

// The harmonic mean of precision and recall; an image without objects and without predictions is right.
function f1 (counted) {
  const all = 2 * counted.found + counted.missed + counted.wrong
  return all ? 2 * counted.found / all : 1
}

function mistakes (counted) {
  return counted.missed + counted.wrong
}

function sum (counts) {
  const total = {found: 0, missed: 0, wrong: 0, truths: 0, shown: 0}
  for (const one of counts) for (const key of Object.keys(total)) total[key] += one[key]
  return total
}

// The orders of a gallery with truth: [key, text, comparison of two entries {image, counted}].
const ORDERS = [
  ['worst', 'worst first (lowest F1)', (a, b) => f1(a.counted) - f1(b.counted) || mistakes(b.counted) - mistakes(a.counted)],
  ['mistakes', 'most misses and false finds', (a, b) => mistakes(b.counted) - mistakes(a.counted)],
  ['missed', 'most misses', (a, b) => b.counted.missed - a.counted.missed],
  ['wrong', 'most false finds', (a, b) => b.counted.wrong - a.counted.wrong],
  ['best', 'best first', (a, b) => f1(b.counted) - f1(a.counted) || b.counted.found - a.counted.found],
  ['objects', 'most objects', (a, b) => b.counted.truths - a.counted.truths],
  ['name', 'by name', byName]
]
const ORDERS_WITHOUT_TRUTH = [
  ['name', 'by name', byName],
  ['most', 'most predictions', (a, b) => b.counted.shown - a.counted.shown],
  ['fewest', 'fewest predictions', (a, b) => a.counted.shown - b.counted.shown]
]

function byName (a, b) {
  return a.image.name < b.image.name ? -1 : a.image.name > b.image.name ? 1 : 0
}

// The same for classes: a wrong one that the network is sure of is the worst.
function isWrong (image) {
  return image.label >= 0 && image.best[0] !== image.label
}

const CLASS_ORDERS = [
  ['worst', 'wrong ones first, the surest first',
    (a, b) => isWrong(b.image) - isWrong(a.image) || (isWrong(a.image) ? 1 : -1) * (b.image.best[1] - a.image.best[1])],
  ['unsure', 'least sure first', (a, b) => a.image.best[1] - b.image.best[1]],
  ['sure', 'surest first', (a, b) => b.image.best[1] - a.image.best[1]],
  ['name', 'by name', byName]
]
