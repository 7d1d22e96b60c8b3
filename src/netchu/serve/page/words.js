// Every word of the page, in Vietnamese and English. {name} is filled in by say().

const WORDS = {
  vi: {
    skip: "Đến phần đọc",
    jump: "Học ↓",
    tagline: "Đọc dòng chữ viết tay, học từ bản sửa của bạn",
    read: "Đọc và sửa",
    drop: "Thả ảnh từng dòng chữ vào đây, dán bằng Ctrl+V, hoặc chọn tệp.",
    choose: "Chọn ảnh",
    whole_page: "Ảnh chụp cả trang",
    formats: "PNG, JPEG, WebP hoặc BMP, mỗi ảnh tối đa {mb} MB. Ảnh chỉ được gửi đến máy chủ này.",
    waiting: "Đang đọc…",
    busy: "Máy chủ đang bận, tự thử lại sau {seconds} giây…",
    unreachable: "Không kết nối được với máy chủ.",
    field: "Nội dung của {name}, có thể sửa",
    sure: "Chắc {percent}",
    doubts: "{percent} chắc, {count} ký tự cần xem",
    instead: "Thay “{character}” bằng:",
    nothing: "(bỏ)",
    others: "Có thể là:",
    save: "Lưu",
    next_doubt: "Ký tự cần xem",
    remove: "Bỏ qua",
    saved: "Đã lưu “{text}”.",
    left: "Còn {count} dòng",
    all_done: "Đã xong tất cả",
    keys: "Bàn phím: Enter lưu và sang dòng sau, F2 đến ký tự cần xem, Alt+1…3 thay ký tự đó, Ctrl+↑ ↓ đổi dòng, Esc trả lại bản đọc.",
    learning: "Học từ bản sửa",
    corrections: "dòng đã lưu",
    read_right: "đọc đúng ngay",
    held_out: "giữ để kiểm tra",
    hardest: "Ký tự hay đọc sai (số lần đúng / gặp):",
    retraining: "Huấn luyện lại",
    retrain: "Huấn luyện lại",
    retrain_hint: "Mô hình học thêm từ các dòng đã lưu. Phiên bản mới chỉ được dùng khi không kém hơn trên những dòng giữ lại.",
    too_few: "Hãy lưu ít nhất 5 dòng trước.",
    job: "Lần {id}",
    running: "đang chạy, {percent}",
    starting: "đang chuẩn bị",
    done: "xong",
    failed: "lỗi",
    cancelled: "đã huỷ",
    interrupted: "bị ngắt, {percent}",
    cancel: "Huỷ",
    continue: "Chạy tiếp",
    promoted: "Đã đưa phiên bản {version} vào dùng.",
    not_promoted: "Phiên bản {version} kém hơn nên chưa được dùng.",
    result: "Tỉ lệ ký tự sai trên {lines} dòng giữ lại: {before} → {after}.",
    loss_chart: "Sai số khi huấn luyện theo bước",
    cer_chart: "Ký tự sai trên dòng giữ lại (%) theo vòng",
    chart_now: "{title}: hiện là {value}",
    versions: "Phiên bản mô hình",
    version: "Phiên bản {id}",
    active: "đang dùng",
    use: "Dùng bản này",
    roll_back: "Quay lại bản này",
    now_active: "Phiên bản {id} đang được dùng.",
    from_job: "huấn luyện lần {job} từ bản {parent}; ký tự sai {before} → {after}",
    token: "Mã truy cập",
    token_why: "Máy chủ này yêu cầu mã truy cập khi lưu, huấn luyện hoặc đổi phiên bản.",
    token_label: "Mã do người quản trị cung cấp",
    token_keep: "Dùng mã này",
    line_of_page: "{name}, dòng {number}",
    pasted: "ảnh dán",
  },
  en: {
    skip: "Skip to reading",
    jump: "Learn ↓",
    tagline: "Reads handwritten lines, learns from your corrections",
    read: "Read and correct",
    drop: "Drop images of single lines here, paste them with Ctrl+V, or choose files.",
    choose: "Choose images",
    whole_page: "Photographs of whole pages",
    formats: "PNG, JPEG, WebP or BMP, up to {mb} MB each. Images go to this server only.",
    waiting: "Reading…",
    busy: "The server is busy; trying again in {seconds} s…",
    unreachable: "The server cannot be reached.",
    field: "Text of {name}, can be corrected",
    sure: "{percent} sure",
    doubts: "{percent} sure, {count} to check",
    instead: "Instead of “{character}”:",
    nothing: "(none)",
    others: "Perhaps:",
    save: "Save",
    next_doubt: "Check next",
    remove: "Skip",
    saved: "Saved “{text}”.",
    left: "{count} to go",
    all_done: "All done",
    keys: "Keys: Enter saves and goes on, F2 finds the next character to check, Alt+1…3 replaces it, Ctrl+↑ ↓ changes the line, Esc restores the reading.",
    learning: "Learning from corrections",
    corrections: "lines saved",
    read_right: "read right at once",
    held_out: "kept for testing",
    hardest: "Characters often misread (right / seen):",
    retraining: "Retraining",
    retrain: "Retrain",
    retrain_hint: "The model learns from the saved lines. A new version serves only if it is not worse on the lines kept for testing.",
    too_few: "Save at least 5 lines first.",
    job: "Run {id}",
    running: "running, {percent}",
    starting: "preparing",
    done: "done",
    failed: "failed",
    cancelled: "cancelled",
    interrupted: "interrupted, {percent}",
    cancel: "Cancel",
    continue: "Continue",
    promoted: "Version {version} now serves.",
    not_promoted: "Version {version} is worse, so it does not serve.",
    result: "Wrong characters on {lines} lines kept for testing: {before} → {after}.",
    loss_chart: "Training loss by step",
    cer_chart: "Wrong characters on test lines (%) by round",
    chart_now: "{title}: now {value}",
    versions: "Model versions",
    version: "Version {id}",
    active: "serving",
    use: "Use this one",
    roll_back: "Roll back to it",
    now_active: "Version {id} now serves.",
    from_job: "run {job} from version {parent}; wrong characters {before} → {after}",
    token: "Access token",
    token_why: "This server asks for a token to save, retrain or change the version.",
    token_label: "Token from your administrator",
    token_keep: "Use this token",
    line_of_page: "{name}, line {number}",
    pasted: "pasted image",
  },
};

const KEY = "netchu-language";
let language = localStorage.getItem(KEY) ?? (navigator.language.toLowerCase().startsWith("vi") ? "vi" : "en");
if (!(language in WORDS)) language = "en";

export const say = (word, values = {}) =>
  WORDS[language][word].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

export const percent = (value, digits = 0) =>
  new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(value);

export const number = (value) => new Intl.NumberFormat(language, { maximumSignificantDigits: 3 }).format(value);

export const when = (seconds) =>
  new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "short" }).format(seconds * 1000);

// Fill every element that names its word, and tell the rest of the page to draw itself again.
export function speak(wanted = language) {
  language = wanted;
  localStorage.setItem(KEY, wanted);
  document.documentElement.lang = wanted;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", String(button.dataset.language === wanted));
  document.dispatchEvent(new Event("spoken"));
}
