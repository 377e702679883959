/* What the theme and the gallery leave out for keyboards and screen readers. */
function repair() {
  for (const box of document.querySelectorAll("pre, div.math, .table-wrapper")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0; // arrow keys scroll what has the focus
    else box.removeAttribute("tabindex");
  }
  for (const heading of document.querySelectorAll("[role=heading]:not([aria-level])")) heading.ariaLevel = 2;
  for (const link of document.querySelectorAll(".sphx-glr-thumbcontainer a")) link.ariaLabel = link.textContent;
}
function breakable() {
  for (const name of document.querySelectorAll("td:last-child code.literal .pre"))
    name.innerHTML = name.innerHTML.replaceAll(".", ".<wbr>");
}
addEventListener("load", breakable);
addEventListener("load", repair);
addEventListener("resize", repair);
