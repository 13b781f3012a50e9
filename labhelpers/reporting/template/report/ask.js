
// Ask the networks: a worker computes their answers, so that the page stays responsive.
const asking = document.querySelector(".ask");
if (asking) startAsking();

function startAsking() {
  const find = selector => asking.querySelector(selector);
  const said = find(".said");
  const say = text => { said.textContent = text; };
  const humans = JSON.parse(document.getElementById("samples-data").textContent);
  const buttons = [...asking.querySelectorAll(".samples button")];
  const canvas = find("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let worker;
  try {
    worker = new Worker(URL.createObjectURL(new Blob([document.getElementById("worker").textContent], { type: "text/javascript" })));
  } catch {
    return say("This browser can't run the networks here: use lab predict in a terminal.");
  }
  worker.onerror = () => say("This browser can't run the networks here: use lab predict in a terminal.");
  worker.postMessage({ networks: document.getElementById("networks-data").textContent });
  say("");
  find(".choices").hidden = false;

  // Asks about 32x32x3 values from 0 to 255; `humans` are counts of their answers, where they are known.
  let latest = 0;
  function ask(pixels, humans, name) {
    const id = ++latest;
    find(".answer").hidden = false;
    find("table").classList.toggle("own", !humans);
    fill(0, humans);
    say(`${name}: thinking …`);
    return new Promise(resolve => {
      const answers = [];
      worker.onmessage = ({ data }) => {
        if (data.id !== id) return;
        answers[data.index] = data;
        data.weights = data.logits.map(logit => Math.exp(logit - Math.max(...data.logits)));
        fill(data.index + 1, data.weights);
        if (data.index === 0) draw(data);
        if (answers.length < networks.length) return;
        say(`${name}. The networks say: ${networks.map((heading, i) => `${heading}, ${best(answers[i].weights)}`).join("; ")}.`);
        resolve(answers);
      };
      worker.postMessage({ id, pixels });
    });
  }
  window.askNetworks = ask; // for tests
  const headings = [...asking.querySelectorAll("thead th")].slice(1).map(cell => cell.textContent);
  const networks = headings.slice(1);
  const rows = [...asking.querySelectorAll("tbody tr")];
  const percent = share => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}\u00a0%`;
  const sum = numbers => numbers.reduce((total, number) => total + number, 0);
  function best(weights) {
    const largest = Math.max(...weights);
    return `${rows[weights.indexOf(largest)].querySelector("th").textContent} ${percent(largest / sum(weights))}`;
  }

  // Writes a column of the table: 0 has the humans, the others a network each.
  function fill(column, weights) {
    rows.forEach((row, i) => {
      const cell = row.querySelectorAll("td")[column];
      const share = weights ? weights[i] / sum(weights) : 0;
      cell.style.setProperty("--share", share);
      cell.textContent = weights ? percent(share) : "–";
    });
  }

  // Shows the feature maps of the first convolution, from black (0) to white (the largest hundredth of all values).
  function draw({ maps, channels }) {
    const white = maps.slice().sort()[Math.floor(0.99 * maps.length)] || 1;
    const side = Math.sqrt(maps.length / channels);
    const map = find(".maps");
    map.width = 6 * (side + 2);
    map.height = Math.ceil(channels / 6) * (side + 2);
    const pen = map.getContext("2d");
    for (let channel = 0; channel < channels; channel++) {
      const image = pen.createImageData(side, side);
      for (let i = 0; i < side * side; i++) image.data.set([...Array(3).fill(255 * maps[i * channels + channel] / white), 255], 4 * i);
      pen.putImageData(image, (channel % 6) * (side + 2), Math.floor(channel / 6) * (side + 2));
    }
  }

  // The 32x32x3 values on the canvas.
  const onCanvas = () => [...context.getImageData(0, 0, 32, 32).data].filter((_, i) => i % 4 !== 3);

  const choose = chosen => buttons.forEach(button => button.setAttribute("aria-pressed", button === chosen));
  buttons.forEach((button, i) => button.addEventListener("click", async () => {
    choose(button);
    const image = button.querySelector("img");
    await image.decode();
    context.drawImage(image, 0, 0);
    ask(onCanvas(), humans[i], image.alt);
  }));
  arrows([...Array(10)].map((_, row) => buttons.slice(10 * row, 10 * row + 10)));

  // As `labhelpers.data.read_image`: upright, what is transparent becomes white, the middle square averaged to 32x32.
  async function read(file) {
    choose(null);
    let picture;
    try {
      picture = await createImageBitmap(file);
    } catch {
      find(".answer").hidden = true;
      const smaller = file.size > 2e7 ? ", or a smaller copy" : "";
      return say(`${file.name} can't be read as a picture: choose a JPEG, PNG, GIF or WebP file${smaller}.`);
    }
    const side = Math.min(picture.width, picture.height);
    const part = picture.width === picture.height ? "" : ", its middle square";
    const large = document.createElement("canvas");
    large.width = large.height = Math.min(side, 2048);
    const pen = large.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, large.width, large.width);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, large.width, large.width);
    picture.close();
    const pixels = averaged(pen.getImageData(0, 0, large.width, large.width).data, large.width);
    const shown = context.createImageData(32, 32);
    for (let i = 0; i < 1024; i++) shown.data.set([...pixels.slice(3 * i, 3 * i + 3), 255], 4 * i);
    context.putImageData(shown, 0, 0);
    ask(pixels, null, `${file.name}${part}`);
  }

  // Averages a square of side x side pixels (red, green, blue, alpha) to 32x32 (red, green, blue), first along rows. As
  // with Pillow's BOX, a pixel counts where its middle lies, wholly or not at all.
  function averaged(data, side) {
    const scale = side / 32;
    const parts = [...Array(32)].map((_, to) => {
      const [middle, reach] = [(to + 0.5) * scale, Math.max(scale, 1) / 2];
      const inside = [];
      for (let from = 0; from < side; from++) {
        const distance = from + 0.5 - middle;
        if (-reach < distance && distance <= reach) inside.push(from);
      }
      return inside;
    });
    const rows = new Float32Array(32 * side * 3);
    for (let y = 0; y < side; y++) for (let x = 0; x < 32; x++) for (let c = 0; c < 3; c++) {
      for (const from of parts[x]) rows[(y * 32 + x) * 3 + c] += data[(y * side + from) * 4 + c] / parts[x].length;
    }
    const pixels = new Float32Array(32 * 32 * 3);
    for (let y = 0; y < 32; y++) for (let i = 0; i < 96; i++) {
      for (const from of parts[y]) pixels[y * 96 + i] += rows[from * 96 + i] / parts[y].length;
    }
    return [...pixels].map(Math.round);
  }

  asking.querySelectorAll("input[type=file]").forEach(input => input.addEventListener("change", () => {
    if (input.files.length) read(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  }));
  for (const kind of ["dragover", "drop"]) asking.addEventListener(kind, event => {
    event.preventDefault();
    asking.classList.toggle("over", kind === "dragover");
    const file = event.dataTransfer.files[0];
    if (kind === "drop") file ? read(file) : say("That is not a file: save the picture first, then drop it here.");
  });
  asking.addEventListener("dragleave", () => asking.classList.remove("over"));
}
