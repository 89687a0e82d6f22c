// The cards of the gallery: one for each image.

// Truth and predictions side by side; width: of a panel on the screen, in pixels.
function panels (number, image, report, settings, width, eager) {
  const unit = viewBox(image)[0] / width
  const frames = report.truth ? [['true', 'Truth'], ['predicted', 'Predicted']] : [['predicted', 'Predicted']]
  const views = frames.map(([kind, title]) => html('div', {class: `panel ${kind}`},
    html('img', {
      src: `images/${name6(number)}.jpg`,
      width: image.size[0],
      height: image.size[1],
      loading: eager ? null : 'lazy',
      decoding: 'async',
      alt: `${title}: ${image.name}`
    }),
    report.truth ? html('span', {class: 'caption'}, title) : null))
  const holder = html('div', {class: 'panels'}, views)
  imageData(number).then(data => {
    if (report.truth) views[0].append(overlay(image, filtered(trueObjects(image, data), settings), report.classes, settings, unit))
    const predicted = predictedObjects(image, data, report.truth)
    views[views.length - 1].append(overlay(image, filtered(predicted, settings), report.classes, settings, unit))
    applyThreshold(holder, settings.percent)
  }).catch(error => holder.append(html('p', {class: 'note'}, error.message)))
  return holder
}

function filtered (objects, settings) {
  return settings.label < 0 ? objects : objects.filter(object => object.label === settings.label)
}

function countText (counted, report) {
  if (!report.truth) return plural(counted.shown, 'prediction')
  return `${counted.found} found, ${counted.missed} missed, ${counted.wrong} false`
}

// A card of a detector's image.
function detectionCard (entry, report, settings, width, open) {
  const counts = html('p', {class: 'counts', 'data-number': entry.number}, countText(entry.counted, report))
  return html('li', {class: 'card'},
    html('button', {type: 'button', class: 'open', onclick: open, 'aria-label': `Enlarge ${entry.image.name}`},
      panels(entry.number, entry.image, report, settings, width)),
    html('p', {class: 'name'}, entry.image.name), counts)
}

// A card of a classified image.
function classCard (entry, report) {
  const {image, number} = entry
  const state = image.label < 0 ? 'plain' : isWrong(image) ? 'wrong' : 'found'
  const rows = []
  for (let i = 0; i < image.best.length; i += 2) {
    const percent = (100 * image.best[i + 1]).toFixed(1)
    rows.push(html('li', {class: image.best[i] === image.label ? 'hit' : null},
      html('span', {class: 'bar', style: `width:${percent}%`}), html('span', {class: 'of'}, report.classes[image.best[i]]),
      html('span', {class: 'share'}, `${percent} %`)))
  }
  const truth = image.label < 0 ? null : html('p', {class: 'counts'}, `${state === 'wrong' ? 'wrong' : 'right'}; truth: `, html('strong', {}, report.classes[image.label]))
  return html('li', {class: `card classified ${state}`},
    html('img', {src: `images/${name6(number)}.jpg`, width: image.size[0], height: image.size[1], loading: 'lazy', alt: image.name}),
    html('p', {class: 'name'}, image.name), truth, html('ol', {class: 'best'}, rows))
}
