for(const table of document.querySelectorAll("table.sortable"))for(const head of table.tHead.rows[0].cells){const button=document.createElement("button");button.append(...head.childNodes);head.append(button);
button.addEventListener("click",()=>{const body=table.tBodies[0],down=head.getAttribute("aria-sort")==="ascending",at=head.cellIndex;
for(const other of table.tHead.rows[0].cells)other.removeAttribute("aria-sort");head.setAttribute("aria-sort",down?"descending":"ascending");
const rows=[...body.rows].sort((a,b)=>{const x=a.cells[at],y=b.cells[at],p=x?.dataset.key,q=y?.dataset.key;
return p!==undefined&&q!==undefined?p-q:p!==undefined?-1:q!==undefined?1:(x?.textContent??"").localeCompare(y?.textContent??"")});
if(down)rows.reverse();body.append(...rows)})}
