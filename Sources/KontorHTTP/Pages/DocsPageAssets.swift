// The style of the page for people, and the script that sends its forms.

extension DocsPage {
    static let style = """
        :root{color-scheme:light dark;--ground:#fbfbf9;--card:#fff;--ink:#1d2327;--soft:#5a646b;--line:#dfe3e0;--accent:#0b6b53;
        --code:#f1f3f0;--get:#0b5c8a;--post:#0b6b53;--delete:#a3262a;--warn:#8a5a00}
        @media(prefers-color-scheme:dark){:root{--ground:#14181a;--card:#1b2124;--ink:#e6eaea;--soft:#a3afb3;--line:#313a3e;
        --accent:#5fd0ad;--code:#111516;--get:#7cc4f0;--post:#5fd0ad;--delete:#f59a94;--warn:#e8b85a}}
        *{box-sizing:border-box}
        html{scroll-behavior:smooth;scroll-padding-top:1rem}
        @media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
        body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
        a{color:var(--accent)}
        :focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}
        .skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem}
        header{padding:2rem 1.5rem 1.25rem;border-bottom:1px solid var(--line);background:var(--card)}
        header>*{max-width:78rem;margin:0 auto}
        h1{font-size:1.9rem;letter-spacing:-.02em;line-height:1.2}header p{color:var(--soft);margin-top:.35rem}
        h2{font-size:1.3rem;margin:0 0 .25rem}h3{font-size:1rem;margin:0 0 .5rem}
        code,pre{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.875em}
        .columns{max-width:81rem;margin:0 auto;padding:1.5rem;display:grid;gap:2.5rem;grid-template-columns:17.5rem minmax(0,1fr)}
        nav{position:sticky;top:1.5rem;align-self:start;max-height:calc(100vh - 3rem);overflow:auto;font-size:.8rem}
        nav h2{font-size:.95rem;margin:.75rem 0 .25rem}nav section:first-child h2{margin-top:0}
        nav h2 a{color:inherit;text-decoration:none}
        nav ul{list-style:none;margin:0;padding:0}
        nav li a{display:flex;gap:.5rem;align-items:baseline;padding:.2rem .35rem;color:var(--soft);text-decoration:none;
        border-radius:6px;overflow-wrap:anywhere;line-height:1.35}
        nav li a:hover{background:var(--code);color:var(--ink)}nav .method{font-size:.6rem;min-width:3.4rem}
        main>section{margin-bottom:2.5rem}main>section>p{color:var(--soft);margin:0 0 .75rem;max-width:46rem}
        .route{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:.5rem 0}
        .route>summary{cursor:pointer;padding:.6rem .9rem;display:grid;grid-template-columns:4rem minmax(0,1fr) auto;gap:0 .75rem;
        align-items:baseline;list-style:none;border-radius:10px}
        .route>summary::-webkit-details-marker{display:none}
        .route>summary:hover{background:var(--code)}
        .route>summary::after{content:"+";color:var(--soft);grid-area:1/3}.route[open]>summary::after{content:"\u{2212}"}
        .route>summary code{font-weight:600;overflow-wrap:anywhere;grid-column:2}
        .route>summary span{color:var(--soft);grid-column:2;font-size:.93rem}.route>summary span:first-child{grid-column:1/3}
        .body{padding:.25rem .9rem 1rem;border-top:1px solid var(--line)}.body p{max-width:46rem}
        .method{font-size:.7rem;letter-spacing:.04em;min-width:4rem;flex:none;text-align:center;border:1px solid;
        border-radius:5px;padding:.05rem .3rem;font-weight:700;line-height:1.5}
        .get{color:var(--get)}.post,.put{color:var(--post)}.delete{color:var(--delete)}
        .scroll{overflow-x:auto}
        table{border-collapse:collapse;width:100%;margin:.75rem 0;font-size:.9rem}
        caption{text-align:left;font-weight:600;padding-bottom:.25rem}
        th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-top:1px solid var(--line);font-weight:400}
        thead th{color:var(--soft);font-size:.8rem;border-top:0}tbody th{white-space:nowrap;width:7rem}
        td pre{margin:.25rem 0 0}td code{color:var(--soft)}
        pre{background:var(--code);border:1px solid var(--line);border-radius:8px;padding:.5rem .75rem;margin:0;
        white-space:pre-wrap;overflow-wrap:anywhere}
        .status{font-weight:700;font-variant-numeric:tabular-nums}
        .s2{color:var(--post)}.s4{color:var(--warn)}.s5,.s0{color:var(--delete)}
        .curl{display:flex;gap:.5rem;align-items:start;margin:.75rem 0}.curl pre{flex:1}
        form{border-top:1px solid var(--line);padding-top:.75rem}
        .fields{display:flex;flex-wrap:wrap;gap:.5rem .75rem;margin-bottom:.75rem}.fields div{flex:1 1 10rem;max-width:22rem}
        label{display:block;font-size:.8rem;color:var(--soft)}
        textarea{min-height:5rem}input,textarea{width:100%;font:inherit;padding:.4rem .55rem;border:1px solid var(--soft);border-radius:6px;background:var(--ground);
        color:inherit}
        button{font:inherit;padding:.4rem .9rem;border-radius:6px;border:1px solid var(--accent);background:var(--accent);
        color:var(--card);cursor:pointer;font-weight:600}
        button.copy{background:none;color:var(--accent);font-size:.85rem}button[disabled]{opacity:.6}
        output{display:block}output p{margin:.75rem 0 .25rem}
        dt{font-weight:600}dd{margin:0 0 .5rem;color:var(--soft);max-width:46rem}
        @media(max-width:52rem){.columns{grid-template-columns:minmax(0,1fr);gap:1rem;padding:1rem}
        nav{position:static;max-height:none}nav ul{display:none}nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem}
        nav h2{margin:0}nav h2 a{color:var(--accent);text-decoration:underline}}
        """

    static let script = """
        "use strict";
        const shown = text => { const node = document.createElement("p"); node.append(...text); return node; };
        const bold = (text, name) => { const node = document.createElement("b"); node.className = name;
          node.textContent = text; return node; };
        function pretty(text, type) {
          if (!/json/.test(type)) return text.length > 4000 ? text.slice(0, 4000) + " ..." : text;
          let depth = 0, inString = false, out = "";
          for (let i = 0; i < text.length; i++) {
            const c = text[i];
            if (inString) { out += c; if (c === "\\\\") out += text[++i]; else if (c === '"') inString = false; continue; }
            if (/\\s/.test(c)) continue;
            if (c === '"') inString = true;
            const line = () => "\\n" + "  ".repeat(depth);
            if ("}]".includes(c)) { depth--; if (!"{[".includes(text[i - 1])) out += line(); }
            out += c;
            if ("{[".includes(c)) { depth++; if (!"}]".includes(text[i + 1])) out += line(); }
            if (c === ",") out += line();
            if (c === ":") out += " ";
          }
          return out;
        }
        for (const form of document.forms) {
          const {method, path} = form.dataset, key = form.elements.namedItem("Idempotency-Key");
          const code = form.parentNode.querySelector(".curl code"), copy = form.parentNode.querySelector(".copy");
          const output = form.querySelector("output"), button = form.querySelector("[type=submit]");
          const target = () => path.replace(/{(\\w+)}/g, (_, name) => encodeURIComponent(form.elements.namedItem(name).value.trim()));
          const header = () => key && key.value.trim(), sent = form.elements.namedItem("JSON");
          const headers = () => ({...(header() ? {"Idempotency-Key": header()} : {}),
            ...(sent && sent.value.trim() ? {"Content-Type": "application/json"} : {})});
          const quoted = text => "'" + text.replaceAll("'", "'\\\\''") + "'";
          const plain = text => /^[\\w.~:\\/%-]+$/.test(text) ? text : quoted(text);
          const write = () => { code.textContent = "curl " + (method === "GET" ? "" : "-X " + method + " ")
            + Object.entries(headers()).map(([name, value]) => "-H " + quoted(name + ": " + value) + " ").join("")
            + (sent && sent.value.trim() ? "-d " + quoted(sent.value.trim()) + " " : "") + plain(location.origin + target()); };
          form.hidden = copy.hidden = false;
          form.addEventListener("input", write);
          write();
          copy.addEventListener("click", async () => {
            try { await navigator.clipboard.writeText(code.textContent); copy.textContent = "Copied"; }
            catch { getSelection().selectAllChildren(code); copy.textContent = "Selected"; }
            setTimeout(() => copy.textContent = "Copy", 1500);
          });
          form.addEventListener("submit", async event => {
            event.preventDefault();
            button.disabled = true;
            const begun = performance.now();
            try {
              const answer = await fetch(target(), {method, headers: headers(), body: sent ? sent.value.trim() : undefined});
              const body = await answer.text(), took = (performance.now() - begun).toFixed(1);
              const pre = document.createElement("pre");
              pre.textContent = pretty(body, answer.headers.get("content-type") || "");
              const notes = ["retry-after", "idempotent-replayed", "allow"].filter(name => answer.headers.has(name))
                .map(name => ", " + name + ": " + answer.headers.get(name));
              output.replaceChildren(shown([bold(answer.status, "status s" + (answer.status / 100 | 0)),
                " after " + took + " ms", ...notes]), pre);
            } catch (error) {
              output.replaceChildren(shown([bold("No answer", "status s0"), ": " + error.message
                + ". The request may have had its effect or not."]));
            }
            button.disabled = false;
          });
        }
        const open = () => { const card = location.hash && document.getElementById(location.hash.slice(1));
          if (card && card.tagName === "DETAILS") { card.open = true; card.scrollIntoView(); } };
        addEventListener("hashchange", open);
        open();
        """
}
