// An image with its objects drawn on it. Coordinates are thousandths of the image's longer side.
const UNITS = 1000
const LABEL_PIXELS = 12

function loadScript (number) {
  return new Promise((resolve, reject) => {
    const script = html('script', {src: `data/${name6(number)}.js`, onerror: () => reject(new Error(`data/${name6(number)}.js is missing`))})
    fishnetReport.waiting[number] = data => {
      delete fishnetReport.waiting[number]
      script.remove()
      resolve(data)
    }
    document.head.append(script)
  })
}

function name6 (number) {
  return String(number).padStart(6, '0')
}

// The data of the images that were shown last; thousands of them would fill the memory.
const loaded = new Map()
const MOST_LOADED = 200

function imageData (number) {
  if (!loaded.has(number)) {
    loaded.set(number, loadScript(number))
    if (loaded.size > MOST_LOADED) loaded.delete(loaded.keys().next().value)
  }
  return loaded.get(number)
}

function viewBox (image) {
  const [width, height] = image.size
  const scale = UNITS / Math.max(width, height)
  return [width * scale, height * scale]
}

// objects: [{label, score, state, box, contours}]; unit: units of one pixel on the screen.
function overlay (image, objects, classes, settings, unit) {
  const [width, height] = viewBox(image)
  const small = objects.map((object, i) => ({object, i, area: object.box[2] * object.box[3]})).sort((a, b) => b.area - a.area)
  const shapes = small.map(({object, i}) => shape(object, i, classes, settings))
  // The best first: a label that has to give way to another one vanishes before it when the slider moves.
  const plates = []
  const labels = settings.labels ? objects.map((object, i) => label(object, i, classes, settings, unit, width, height, plates)) : []
  return svg('svg', {viewBox: `0 0 ${width} ${height}`, class: 'overlay', 'aria-hidden': 'true'}, shapes, labels)
}

// The colours: by result, by object or by class.
function look (object, i, settings) {
  const colour = settings.colours === 'object' ? hue(i) : settings.colours === 'class' ? hue(object.label) : null
  return {class: colour === null ? object.state : 'own', style: colour === null ? null : `--hue:${colour}`}
}

function shape (object, i, classes, settings) {
  const {class: result, style} = look(object, i, settings)
  const parts = []
  if (settings.masks && object.contours.length) {
    const d = object.contours.map(numbers => {
      let text = ''
      for (let j = 0; j < numbers.length; j += 2) text += `${j ? 'L' : 'M'}${numbers[j]} ${numbers[j + 1]}`
      return text + 'Z'
    }).join('')
    parts.push(svg('path', {d, class: 'mask', 'fill-rule': 'evenodd'}))
  }
  if (settings.boxes || (settings.masks && !object.contours.length)) {
    const [x, y, w, h] = object.box
    parts.push(svg('rect', {x, y, width: w, height: h, class: 'box'}))
  }
  return svg('g', {class: `object ${result}`, style, 'data-score': object.percent}, svg('title', {}, text(object, classes)), parts)
}

// A label is drawn where the object's box has room for it, and no other label is; plates: those so far.
function label (object, i, classes, settings, unit, width, height, plates) {
  const words = text(object, classes, true)
  const size = LABEL_PIXELS * unit
  const [x, y, w, h] = [Math.max(object.box[0], 0), Math.max(object.box[1], 0), object.box[2], object.box[3]]
  const plate = [words.length * size * 0.54 + size * 0.4, size * 1.3]
  if (!words || plate[0] > Math.min(w, width - x) || plate[0] * plate[1] > w * Math.min(h, height - y) / 5) return null
  if (plates.some(([px, py, pw, ph]) => px < x + plate[0] && x < px + pw && py < y + plate[1] && y < py + ph)) return null
  plates.push([x, y, ...plate])
  const {class: result, style} = look(object, i, settings)
  return svg('g', {class: `object label ${result}`, style, 'data-score': object.percent},
    svg('rect', {x, y, width: plate[0], height: plate[1], class: 'plate'}),
    svg('text', {x: x + size * 0.2, y: y + size, 'font-size': size, class: 'words'}, words))
}

// With one class, its name would say nothing on the image.
function text (object, classes, short) {
  const name = short && classes.length === 1 ? '' : classes[object.label]
  const score = object.score === null ? '' : object.score.toFixed(2)
  return [name, score].filter(Boolean).join(' ') + (short ? '' : ` (${NAMES[object.state]})`)
}

const NAMES = {found: 'found', missed: 'missed', wrong: 'false find', ignored: 'ignored', plain: 'predicted'}

// Predictions below the threshold vanish, and objects that are then missed change their look.
function applyThreshold (root, percent) {
  for (const group of root.querySelectorAll('.predicted .object')) {
    group.toggleAttribute('hidden', Number(group.dataset.score) < percent)
  }
  for (const group of root.querySelectorAll('.true .object[data-score]')) {
    if (group.dataset.score === String(CROWD) || group.classList.contains('own')) continue
    const found = Number(group.dataset.score) >= percent
    group.classList.toggle('found', found)
    group.classList.toggle('missed', !found)
    const title = group.querySelector('title')
    if (title) title.textContent = title.textContent.replace(/ \([a-z ]+\)$/, found ? ' (found)' : ' (missed)')
  }
}

function trueObjects (image, data) {
  return data.truths.map(([label, box, contours], i) => {
    const at = image.truths[2 * i + 1]
    return {label, score: null, percent: at, state: at === CROWD ? 'ignored' : at === NEVER ? 'missed' : 'found', box, contours}
  })
}

function predictedObjects (image, data, withTruth) {
  return data.predictions.map(([label, score, state, box, contours], i) => ({
    label,
    score,
    percent: image.predictions[3 * i + 1],
    state: !withTruth ? 'plain' : state === TRUE ? 'found' : state === FALSE ? 'wrong' : 'ignored',
    box,
    contours
  }))
}
