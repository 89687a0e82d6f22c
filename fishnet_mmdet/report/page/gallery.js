// The gallery: pages of cards, in an order, of a class, at a threshold.
const PAGE = 24

function gallery (report) {
  const detection = report.kind === 'detection'
  const orders = !detection ? CLASS_ORDERS : report.truth ? ORDERS : ORDERS_WITHOUT_TRUTH
  const settings = {
    percent: Math.round(100 * (report.threshold || 0)),
    order: orders[0][0],
    label: -1,
    colours: report.truth ? 'result' : 'object',
    boxes: false,
    masks: true,
    labels: true
  }
  let entries = []
  let page = 0
  const cards = html('ul', {class: `cards ${detection && report.truth ? 'wide' : 'single'}`})
  const total = html('p', {class: 'counts', id: 'total', role: 'status'})
  const place = html('span', {id: 'place'})
  const previous = html('button', {type: 'button', onclick: () => turn(page - 1)}, 'Previous')
  const next = html('button', {type: 'button', id: 'next', onclick: () => turn(page + 1)}, 'Next')

  // Sorts and filters anew.
  function arrange () {
    const all = report.images.map((image, number) => ({image, number, counted: detection ? count(image, settings.percent, settings.label) : null}))
    const inClass = detection ? entry => has(entry.counted) : entry => [entry.image.label, entry.image.best[0]].includes(settings.label)
    entries = settings.label < 0 ? all : all.filter(inClass)
    entries.sort(orders.find(([key]) => key === settings.order)[2])
    turn(0)
  }

  function turn (number) {
    const pages = Math.max(1, Math.ceil(entries.length / PAGE))
    page = Math.min(Math.max(number, 0), pages - 1)
    place.textContent = `page ${page + 1} of ${pages}`
    previous.disabled = page === 0
    next.disabled = page === pages - 1
    const shown = entries.slice(page * PAGE, (page + 1) * PAGE)
    cards.replaceChildren(...shown.map((entry, i) => detection
      ? detectionCard(entry, report, settings, panelWidth(), () => enlarged(page * PAGE + i))
      : classCard(entry, report)))
    tell()
  }

  function panelWidth () {
    const columns = Math.max(1, Math.floor((cards.clientWidth || 1000) / (report.truth ? 480 : 300)))
    return (cards.clientWidth || 1000) / columns / (report.truth ? 2 : 1) - 12
  }

  function tell () {
    if (!detection) {
      const wrong = entries.filter(entry => isWrong(entry.image)).length
      total.textContent = plural(entries.length, 'image') + (report.truth ? `, ${wrong.toLocaleString('en')} wrong` : '')
      return
    }
    const all = sum(entries.map(entry => entry.counted))
    const precision = all.found + all.wrong ? all.found / (all.found + all.wrong) : null
    const recall = all.truths ? all.found / all.truths : null
    const share = value => value === null ? '–' : value.toFixed(3)
    total.textContent = `${plural(entries.length, 'image')}: ` + (report.truth
      ? `${all.found.toLocaleString('en')} found, ${all.missed.toLocaleString('en')} missed, ${all.wrong.toLocaleString('en')} false; ` +
        `precision ${share(precision)}, recall ${share(recall)}`
      : plural(all.shown, 'prediction'))
  }

  // The slider moves: what is shown changes at once, the order only when it rests.
  function slide (value) {
    settings.percent = Math.round(100 * value)
    shown.textContent = Number(value).toFixed(2)
    for (const entry of entries) entry.counted = count(entry.image, settings.percent, settings.label)
    for (const node of cards.querySelectorAll('.counts')) {
      node.textContent = countText(count(report.images[node.dataset.number], settings.percent, settings.label), report)
    }
    applyThreshold(cards, settings.percent)
    tell()
  }

  const enlarged = largeView(report, settings, () => entries)
  const set = (name, redraw) => value => {
    settings[name] = name === 'label' ? Number(value) : value
    redraw()
  }
  const redraw = () => turn(page)
  const controls = [
    choice('Order', orders, set('order', arrange)),
    report.classes.length > 1 ? choice('Class', [[-1, 'all'], ...report.classes.map((name, i) => [i, name])], set('label', arrange)) : null
  ]
  const slider = html('input', {type: 'range', id: 'threshold', min: 0, max: 1, step: 0.01, oninput: () => slide(slider.value), onchange: arrange})
  const shown = html('output', {for: 'threshold'}, (settings.percent / 100).toFixed(2))
  if (detection) {
    slider.value = settings.percent / 100
    controls.unshift(html('label', {class: 'slider'}, 'Score from ', slider, ' ', shown))
    controls.push(
      choice('Colours', [...(report.truth ? [['result', 'by result']] : []), ['object', 'by object'], ['class', 'by class']], set('colours', redraw)),
      checkbox('masks', settings.masks, set('masks', redraw)),
      checkbox('boxes', settings.boxes, set('boxes', redraw)),
      checkbox('labels', settings.labels, set('labels', redraw)))
  }
  const bar = html('div', {class: 'controls'}, controls)
  const pager = html('div', {class: 'pager'}, previous, place, next)
  return {
    element: section('gallery', 'Images', explanation(report), bar, total, cards, pager),
    start: arrange
  }
}

function explanation (report) {
  const parts = []
  if (report.left_out) parts.push(`${plural(report.left_out, 'more image')}${report.truth ? ' with fewer mistakes' : ''} are left out. `)
  if (report.kind === 'detection' && report.truth) {
    const shape = {boxes: 'box', masks: 'mask'}[report.matching.kind]
    parts.push(`An object is found if a prediction of its class has a ${shape} that overlaps it with an IoU of at least ` +
      `${report.matching.iou.toFixed(2)}. Each prediction finds one object, the best first, as in COCOeval. Others are false finds. `)
    parts.push(html('span', {class: 'keys'}, ['found', 'missed', 'wrong', 'ignored'].map(state =>
      html('span', {class: 'entry'}, svg('svg', {viewBox: '0 0 22 14', class: `key object ${state}`, 'aria-hidden': 'true'},
        svg('rect', {x: 2, y: 2, width: 18, height: 10, class: 'mask'})), ` ${NAMES[state]} `))))
  }
  return html('p', {class: 'note'}, parts)
}
