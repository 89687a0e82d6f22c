// Tables that sort by the column whose head is pressed. The first row is the total, and stays first.
function table (data) {
  const body = html('tbody', {})
  const heads = data.columns.map((name, column) => {
    const head = html('th', {scope: 'col'}, html('button', {type: 'button', onclick: () => sort(column)}, name))
    return head
  })
  let sorted = {column: -1, descending: false}

  function sort (column) {
    const numeric = data.rows.some(row => typeof row[column] === 'number')
    const descending = sorted.column === column ? !sorted.descending : numeric
    sorted = {column, descending}
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute('aria-sort', descending ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    })
    show()
  }

  function show () {
    const totals = data.columns[0] === 'class' ? 1 : 0
    const rows = data.rows.slice(totals)
    if (sorted.column >= 0) rows.sort((a, b) => compare(a[sorted.column], b[sorted.column], sorted.descending))
    body.replaceChildren(...[...data.rows.slice(0, totals), ...rows].map((row, i) =>
      html('tr', {class: i < totals ? 'total' : null}, row.map((cell, j) =>
        html(j ? 'td' : 'th', {scope: j ? null : 'row', class: typeof cell === 'string' ? 'text' : null}, written(cell, data.columns[j]))))))
  }

  show()
  return html('figure', {class: 'table'}, html('figcaption', {}, data.title),
    html('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': data.title},
      html('table', {}, html('thead', {}, html('tr', {}, heads)), body)))
}

// Empty cells come last in both directions.
function compare (a, b, descending) {
  if (a === null || b === null) return (a === null) - (b === null)
  const order = a < b ? -1 : a > b ? 1 : 0
  return descending ? -order : order
}

function written (cell, column) {
  if (cell === null) return '–'
  if (typeof cell === 'string') return cell
  return /^A[PR]/.test(column) ? cell.toFixed(3) : cell.toLocaleString('en')
}
