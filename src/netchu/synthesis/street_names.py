"""Street names met in most Vietnamese towns, and syllables that hamlet names are made of."""

ROAD_KINDS = ("Đường", "Đường", "Đường", "Phố", "Đại lộ")

_STREETS = """\
Lê Lợi|Nguyễn Huệ|Trần Hưng Đạo|Quang Trung|Hai Bà Trưng|Lý Thường Kiệt|Nguyễn Trãi|Phan Bội Châu|Phan Chu Trinh
Phan Đình Phùng|Nguyễn Du|Nguyễn Đình Chiểu|Nguyễn Thị Minh Khai|Võ Thị Sáu|Lê Hồng Phong|Trần Phú|Hoàng Văn Thụ
Nguyễn Văn Cừ|Ngô Quyền|Đinh Tiên Hoàng|Lê Thánh Tôn|Lý Tự Trọng|Hùng Vương|Bạch Đằng|Chi Lăng|Điện Biên Phủ
Cách Mạng Tháng Tám|Cmt8|Ba Tháng Hai|30/4|3/2|Nguyễn Văn Linh|Phạm Văn Đồng|Võ Nguyên Giáp|Võ Văn Kiệt|Lê Duẩn
Trường Chinh|Tôn Đức Thắng|Phạm Ngũ Lão|Yết Kiêu|Trần Quốc Toản|Bà Triệu|Mai Hắc Đế|Triệu Quang Phục
Lạc Long Quân|Âu Cơ|Nguyễn Công Trứ|Cao Bá Quát|Hồ Xuân Hương|Đoàn Thị Điểm|Bùi Thị Xuân|Nguyễn Thái Học
Hoàng Hoa Thám|Kim Đồng|Phạm Hồng Thái|Lê Văn Sỹ|Nguyễn Văn Trỗi|Phan Văn Trị|Phan Đăng Lưu|Nơ Trang Long
Lê Quang Định|Xô Viết Nghệ Tĩnh|Nguyễn Xí|Ung Văn Khiêm|Tô Hiến Thành|Thành Thái|Sư Vạn Hạnh|Ngô Gia Tự
Nguyễn Chí Thanh|Hoà Bình|Luỹ Bán Bích|Tân Kỳ Tân Quý|Gò Dầu|Vườn Lài|Huỳnh Tấn Phát|Nguyễn Hữu Thọ
Tôn Thất Thuyết|Đoàn Văn Bơ|Xóm Chiếu|Bến Vân Đồn|Kha Vạn Cân|Đặng Văn Bi|Võ Văn Ngân|Tô Ngọc Vân|Linh Đông
Quốc Hương|Thảo Điền|Lương Định Của|Mai Chí Thọ|Đỗ Xuân Hợp|Láng Hạ|Giảng Võ|Kim Mã|Đội Cấn|Thuỵ Khuê
Hoàng Quốc Việt|Xuân Thuỷ|Cầu Giấy|Trần Duy Hưng|Nguyễn Khánh Toàn|Khâm Thiên|Tôn Thất Tùng|Chùa Bộc|Thái Hà
Tây Sơn|Nguyễn Lương Bằng|Xã Đàn|Đê La Thành|Giải Phóng|Trương Định|Minh Khai|Lạc Trung|Lò Đúc|Trần Khát Chân
Đại Cồ Việt|Tạ Quang Bửu|Bạch Mai|Phố Huế|Hàng Bông|Hàng Gai|Hàng Đào|Hàng Cót|Quán Thánh|Phùng Hưng
Nguyễn Hữu Huân|Cống Quỳnh|Tố Hữu|Lê Văn Lương|Nguyễn Tuân|Vũ Trọng Phụng|Khuất Duy Tiến|Nguyễn Xiển|Kim Giang
Định Công|Lĩnh Nam|Tam Trinh|Nguyễn Sơn|Ngọc Lâm|Bồ Đề|Lạch Tray|Tô Hiệu|Cát Dài|Đà Nẵng|Nguyễn Bỉnh Khiêm
Ông Ích Khiêm|Hải Phòng|Hàm Nghi|Nguyễn Tri Phương|Duy Tân|Núi Thành|Nguyễn Tất Thành|Hoàng Diệu|Lê Đình Lý
Trưng Nữ Vương|Quốc lộ 1A|Quốc lộ 13|Quốc lộ 20|Tỉnh lộ 8|Tỉnh lộ 10|Tỉnh lộ 43|Hương lộ 2|Đường số 4|Đường số 7
Đường số 34|Đường 44|D2|D5|N1|An Dương Vương|Hậu Giang|Bà Hom|Kinh Dương Vương|Tên Lửa|Hồ Học Lãm|Trần Văn Kiểu
Phạm Thế Hiển|Dương Bá Trạc|Ngô Tất Tố|Trần Nguyên Hãn|Lương Văn Can|Nguyễn Khuyến|Tú Xương|Chu Văn An
Lương Thế Vinh|Mạc Đĩnh Chi|Phùng Khắc Khoan|Thích Quảng Đức|Đặng Thuỳ Trâm|Nguyễn Viết Xuân|Cù Chính Lan
La Văn Cầu|Bế Văn Đàn|Phan Đình Giót|Tô Vĩnh Diện|Lê Thị Riêng|Thoại Ngọc Hầu|Nguyễn Trung Trực|Trương Công Định
Thủ Khoa Huân|Ỷ Lan|Dã Tượng|Đào Duy Từ|Đào Tấn|Ngọc Hồi|Quách Văn Tuấn"""

_HAMLETS = """\
An Bình Cẩm Châu Chánh Đại Đồng Đông Đức Giang Hà Hải Hậu Hiệp Hiếu Hoà Hoàng Hội Hồng Hưng Hương Kim Kỳ Khánh
Khê La Lạc Lai Lâm Lập Liên Linh Lộc Long Lợi Lương Mai Minh Mỹ Nam Ngãi Nghĩa Ngọc Nhân Nhơn Nhuận Ninh Phong
Phú Phúc Phước Phụng Quang Quảng Quý Quỳnh Sơn Tam Tân Tây Thái Thanh Thành Thạnh Thắng Thiện Thịnh Thọ Thới
Thuận Thuỷ Thuỵ Thượng Tiên Tiến Tín Toàn Trà Trại Trung Trường Tú Tường Vạn Văn Vân Viên Việt Vinh Vĩnh Vọng Vũ
Xá Xuân Xuyên Yên Ích Cầu Chợ Đình Giữa Ngoài Trong Trên Dưới Đầm Đập Gò Giồng Rạch Cái Bàu Bến Suối Đồi Nà Pác
Khuổi Bó Lũng Ea Krông Đắk Chư"""

STREETS = tuple(_STREETS.replace("\n", "|").split("|"))

HAMLET_WORDS = tuple(_HAMLETS.split())
