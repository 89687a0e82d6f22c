// Line charts as SVG.
const CHART = {width: 560, height: 300, left: 52, right: 12, top: 12, bottom: 40}

// Round numbers that divide a range into about 5 parts.
function ticks (low, high) {
  const rough = (high - low) / 5 || 1
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map(factor => factor * power).find(one => one >= rough * 0.999)
  const result = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) result.push(Number((i * step).toPrecision(12)))
  return result
}

// 1, 2 and 5 times powers of ten in a range; powers alone where it is wide.
function logTicks (low, high) {
  const factors = Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5]
  const result = []
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of factors) {
      const value = Number((factor * 10 ** power).toPrecision(6))
      if (value >= low && value <= high) result.push(value)
    }
  }
  return result
}

// curves: [{name, points: [[x, y]], last}]; options: title, x and y (names of the axes), log, yRange, xRange.
function chart (curves, options) {
  curves = curves.map(curve => ({...curve, points: curve.points.filter(([, y]) => !options.log || y > 0)}))
  const all = curves.flatMap(curve => curve.points)
  if (!all.length) return html('p', {class: 'note'}, `${options.title}: no values.`)
  const range = (values, given) => given || values.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity])
  const [x0, x1] = range(all.map(([x]) => x), options.xRange)
  let [y0, y1] = range(all.map(([, y]) => y), options.yRange)
  if (!options.yRange) [y0, y1] = options.log ? [y0 / 1.15, y1 * 1.15] : [Math.min(0, y0), y1 * 1.05 || 1]
  const {width, height, left, right, top, bottom} = CHART
  const scale = options.log ? Math.log : value => value
  const px = x => left + (x1 > x0 ? (x - x0) / (x1 - x0) : 0.5) * (width - left - right)
  const py = y => height - bottom - (scale(y) - scale(y0)) / (scale(y1) - scale(y0)) * (height - top - bottom)
  const grid = []
  for (const y of (options.log ? logTicks : ticks)(y0, y1)) {
    grid.push(svg('line', {x1: left, x2: width - right, y1: py(y), y2: py(y), class: 'grid'}))
    grid.push(svg('text', {x: left - 6, y: py(y) + 4, 'text-anchor': 'end'}, String(y)))
  }
  for (const x of ticks(x0, x1)) grid.push(svg('text', {x: px(x), y: height - bottom + 17, 'text-anchor': 'middle'}, String(x)))
  const lines = curves.map((curve, i) => {
    const d = curve.points.map(([x, y], j) => `${j ? 'L' : 'M'}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join('')
    const style = `--hue:${hue(i)}`
    const dots = curve.points.length < 40 && !options.noDots
      ? curve.points.map(([x, y]) => svg('circle', {cx: px(x), cy: py(y), r: 3, class: 'dot', style}, svg('title', {}, `${curve.name}: ${y} at ${x}`)))
      : []
    return svg('g', {}, svg('path', {d, class: `line dash${i % 3}`, style}), dots)
  })
  const picture = svg('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', class: 'chart', 'aria-label': describe(curves, options)},
    grid, lines,
    svg('text', {x: (left + width - right) / 2, y: height - 4, 'text-anchor': 'middle'}, options.x),
    svg('text', {transform: `translate(12 ${(top + height - bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle'}, options.y))
  const legend = html('ul', {class: 'legend'}, curves.map((curve, i) =>
    html('li', {}, svg('svg', {viewBox: '0 0 24 8', class: 'key', 'aria-hidden': 'true'}, svg('path', {d: 'M0 4L24 4', class: `line dash${i % 3}`, style: `--hue:${hue(i)}`})),
      ` ${curve.name}${curve.last === undefined ? '' : ': ' + curve.last}`)))
  return html('figure', {class: 'plot'}, html('figcaption', {}, options.title), picture, legend)
}

// The chart in words, for those who do not see it.
function describe (curves, options) {
  const parts = curves.filter(curve => curve.points.length).map(curve => {
    const [first, last] = [curve.points[0], curve.points[curve.points.length - 1]]
    return `${curve.name} from ${first[1]} at ${first[0]} to ${last[1]} at ${last[0]}`
  })
  return `${options.title}, ${options.y} by ${options.x}: ${parts.join('; ')}`
}
