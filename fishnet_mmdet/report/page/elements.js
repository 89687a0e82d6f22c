// Elements of the page. All text goes through createTextNode or setAttribute, never through innerHTML: names of classes and
// files are data, not markup.
const SVG = 'http://www.w3.org/2000/svg'

function fill (node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else if (value === true) node.setAttribute(name, '')
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value)
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined))
  return node
}

function html (tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children)
}

function svg (tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children)
}

function section (id, title, ...children) {
  return html('section', {id, 'aria-labelledby': `${id}-title`}, html('h2', {id: `${id}-title`}, title), ...children)
}

// A select with a label; options are [value, text].
function choice (label, options, onchange) {
  const select = html('select', {onchange: () => onchange(select.value)},
    options.map(([value, text]) => html('option', {value}, text)))
  return html('label', {}, `${label} `, select)
}

function checkbox (label, checked, onchange) {
  const box = html('input', {type: 'checkbox', checked, onchange: () => onchange(box.checked)})
  return html('label', {class: 'check'}, box, ` ${label}`)
}

function plural (number, word, words) {
  return `${number.toLocaleString('en')} ${number === 1 ? word : words || word + 's'}`
}

// Colours of lines and objects: hues a golden section apart.
function hue (number) {
  return (210 + number * 137.508) % 360
}
