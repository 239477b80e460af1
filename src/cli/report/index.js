for (const [i, head] of document.querySelectorAll("th").entries())
  head.firstElementChild.onclick = () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of document.querySelectorAll("th")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = document.querySelector("tbody");
    const value = row => row.cells[i].dataset.v;
    const order = (a, b) => (isNaN(value(a)) || isNaN(value(b)) ? value(a).localeCompare(value(b)) : value(a) - value(b));
    body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
  };
