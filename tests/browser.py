"""A browser without a window, for tests of pages."""

import json
import os
import re
import shutil
import subprocess
from html import unescape

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
#: Runs after the page. What it returns is written into the page, which the browser prints in the end.
SCRIPT = """
<script>
const problems = []
const wait = ms => new Promise(resolve => setTimeout(resolve, ms))
window.onerror = (message, source, line) => problems.push(`${message} (${source}:${line})`)
window.onunhandledrejection = event => problems.push(String(event.reason))
window.addEventListener('error', event => problems.push('not loaded: ' + (event.target.src || event.message)), true)
console.error = (...words) => problems.push(words.join(' '))
window.onload = async () => {
  let result
  try {
    result = await (async () => { STEPS })()
  } catch (error) {
    problems.push(String(error.stack || error))
  }
  const pre = document.createElement('pre')
  pre.id = 'result-of-the-test'
  pre.textContent = JSON.stringify({result, problems})
  document.body.append(pre)
}
</script>
"""


@pytest.fixture
def browse(tmp_path):
    """Opens a page from disk, runs steps of JavaScript in it, and returns what they return. Nothing may fail."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip(f'needs a browser: one of {", ".join(NAMES)} on the PATH')

    def run(page, steps, size=(1400, 900), dark=False):
        copy = page.with_name('tested.html')
        copy.write_text(page.read_text().replace('<body>', '<body>' + SCRIPT.replace('STEPS', steps)))
        options = [
            '--headless=new',
            '--no-sandbox',  # which root cannot have; the page is our own
            '--disable-gpu',
            '--disable-dev-shm-usage',
            '--enable-logging=stderr',
            '--virtual-time-budget=20000',
            f'--user-data-dir={tmp_path}/profile',
            f'--window-size={size[0]},{size[1]}',
            f'--blink-settings=preferredColorScheme={0 if dark else 1}',
        ]
        command = [browser, *options, '--dump-dom', f'file://{copy}']
        env = {**os.environ, 'HOME': str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
        copy.unlink()
        found = re.search(r'<pre id="result-of-the-test">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, done.stderr[-3000:]
        answer = json.loads(unescape(found[1]))
        assert answer['problems'] == []
        assert 'CONSOLE' not in done.stderr, done.stderr
        return answer['result']

    return run
