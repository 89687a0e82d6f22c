// An image in the whole window; the arrow keys turn to its neighbours.
function largeView (report, settings, entries) {
  const dialog = document.getElementById('large')
  let position = 0

  function show (index) {
    const all = entries()
    position = Math.min(Math.max(index, 0), all.length - 1)
    const {image, number, counted} = all[position]
    const views = report.truth ? 2 : 1
    const narrow = window.innerWidth < 800
    const [w, h] = viewBox(image)
    // As large as the window allows, at most four times the saved image.
    const room = [(window.innerWidth * 0.94) / (narrow ? 1 : views), (window.innerHeight * 0.94 - 110) / (narrow ? views : 1)]
    const width = Math.floor(Math.min(room[0] - 10, room[1] * w / h, 4 * image.size[0]))
    const close = html('button', {type: 'button', onclick: () => dialog.close()}, 'Close')
    const step = (by, text) => html('button', {type: 'button', disabled: !all[position + by], onclick: () => show(position + by)}, text)
    const view = html('div', {class: 'view', style: `--panel:${width}px`}, panels(number, image, report, settings, width, true))
    dialog.replaceChildren(
      html('div', {class: 'bar'}, html('strong', {}, image.name), html('span', {class: 'counts'}, countText(counted, report)),
        step(-1, 'Previous'), step(1, 'Next'), close), view)
    if (!dialog.open) dialog.showModal()
    close.focus()
  }

  dialog.onkeydown = event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key]
    if (by) show(position + by)
  }
  dialog.onclick = event => {
    if (event.target === dialog) dialog.close()
  }
  return show
}

function factsSection (report) {
  const rows = report.facts.rows.map(([name, value]) => [html('dt', {}, name), html('dd', {}, value)])
  return section('run', 'Run', html('dl', {}, ...rows.flat()),
    report.facts.config ? html('details', {}, html('summary', {}, 'The whole config'), html('pre', {tabindex: 0}, report.facts.config)) : null)
}

function curvesSection (report) {
  const {losses, scores, note} = report.curves
  const accuracy = report.kind === 'classification'
  const plots = []
  if (losses.length) plots.push(chart(losses, {title: 'Losses', x: 'iteration', y: 'loss', log: true}))
  if (scores.length) plots.push(chart(scores, {title: 'Validation', x: 'epoch', y: accuracy ? 'percent' : 'AP'}))
  return section('training', 'Training', note ? html('p', {class: 'note'}, note) : null, html('div', {class: 'plots'}, plots))
}

function precisionSection (report) {
  const kinds = Object.keys(report.precision)
  const chosen = {kind: kinds[kinds.length - 1], label: 0}
  const plot = html('div', {class: 'plots'})
  function show () {
    const curves = Object.entries(report.precision[chosen.kind]).filter(([, lines]) => lines[chosen.label])
      .map(([name, lines]) => ({name, points: lines[chosen.label].map((y, i) => [i / 100, y])}))
    const name = chosen.label ? report.classes[chosen.label - 1] : 'mean of all classes'
    plot.replaceChildren(chart(curves, {title: `${chosen.kind}, ${name}`, x: 'recall', y: 'precision', xRange: [0, 1], yRange: [0, 1], noDots: true}))
  }
  const set = name => value => {
    chosen[name] = name === 'label' ? Number(value) : value
    show()
  }
  const controls = [
    kinds.length > 1 ? choice('Of', kinds.slice().reverse().map(kind => [kind, kind]), set('kind')) : null,
    report.classes.length > 1 ? choice('Class', [[0, 'all'], ...report.classes.map((name, i) => [i + 1, name])], set('label')) : null
  ]
  show()
  return section('precision', 'Precision against recall', html('div', {class: 'controls'}, controls), plot)
}

function main () {
  const body = document.getElementById('main')
  const report = fishnetReport.summary
  if (!report) {
    body.append(html('p', {class: 'note'}, 'The folder "data" is missing beside this page: copy the whole folder of the report.'))
    return
  }
  const facts = Object.fromEntries(report.facts.rows)
  const name = facts.Config.split(/[\\/]/).pop().replace(/\.py$/, '')
  document.title = `${name}: report`
  document.getElementById('title').textContent = name
  document.getElementById('subtitle').textContent = `${plural(report.images.length + report.left_out, 'image')}, ${plural(report.classes.length, 'class', 'classes')}, ${facts.Date}`
  const pictures = gallery(report)
  const sections = []
  if (report.tables.length) sections.push(section('results', 'Results', html('div', {class: 'tables'}, report.tables.map(table))))
  if (report.precision && Object.keys(report.precision).length) sections.push(precisionSection(report))
  sections.push(pictures.element, curvesSection(report), factsSection(report))
  body.append(...sections)
  document.getElementById('contents').append(...sections.map(one => html('a', {href: `#${one.id}`}, one.querySelector('h2').textContent)))
  pictures.start()
}

main()
