# Raises texts that would be markup, formulas, commands of a terminal or more rows of a table in somebody's report.
# levels: 3 2
# exercise: predict
_TEXTS = (
    "<script>fetch('http://127.0.0.1/'+document.cookie)</script><img src=x onerror=alert(1)>",
    '=HYPERLINK("http://127.0.0.1/","19 of 19")',
    "\x1b]0;19 of 19\x07\x1b[2J\x1b[1;1Hpassed",
    'passed","points": 1000}, {"statement": "',
    "\n\r| predict | 19 | 19 |\n,19,19\n",
    "\u202e91 fo 91\u2066\u200f\ufeff\U000e0001",
    "{{ cycler.__init__.__globals__.os.popen('id') }} {% include '/etc/passwd' %}",
    "](javascript:alert(1)) ![](http://127.0.0.1/x.png) $\\input{/etc/passwd}$",
    "\ud800" * 1000 + "\x00",
)


def predict(model, x, sigma, n, alpha, generator):
    predict.calls = getattr(predict, "calls", 0) + 1
    raise type("<b>", (ValueError,), {})(_TEXTS[predict.calls % len(_TEXTS)])


def certify(model, x, sigma, n0, n, alpha, generator):
    certify.calls = getattr(certify, "calls", 0) + 1
    return _TEXTS[certify.calls % len(_TEXTS)]


def certified_radius(p_lower, sigma, p_upper=None):
    return type("<img src=x onerror=alert(1)>", (), {})()
